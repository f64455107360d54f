"""The images of a pair set are its latents, decoded once."""

import numpy as np
import pytest

from pnapo.artifacts import read_manifest
from pnapo.errors import UserError
from pnapo.pairs.images import decode_shard, images_of
from pnapo.pairs.store import PairSet, shard_manifests


def test_every_latent_is_decoded_in_order(world, made, decoded):
    pairs, images = PairSet.open(made), images_of(made, decoded)
    assert list(images.table["prompt_id"]) == [p for p in pairs.prompt_ids for _ in range(2)]
    assert list(images.table["sample"]) == 12 * [0, 1]
    expected = world.backbone.decode(pairs.latent(range(12)).flatten(0, 1), 4)
    assert np.array_equal(np.stack(list(images)), expected)


def test_the_script_writes_the_same_bytes(models, made, decoded, script, tmp_path):
    shard, out = shard_manifests(made)[1], tmp_path / "manifest.json"
    model = models["sd3"].model_dump_json()
    script("decode_pairs", "--shard", shard, "--model", model, "--device", "cpu", "--out", out)
    assert out.read_bytes() == decoded[1].read_bytes() and read_manifest(out)["count"] == 12


def test_images_of_other_samples_are_refused(world, made, decoded, generate, tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json: has 2 shards, but images of 1 are given"):
        images_of(made, decoded[:1])
    with pytest.raises(UserError, match=r"its images are not those of .*shard-00000-of-00002\.json"):
        images_of(made, decoded[::-1])
    other = generate(tmp_path / "samples", seed=5)
    decode_shard(world.backbone, other[1], tmp_path / "images" / "manifest.json", lambda line: None)
    with pytest.raises(UserError, match=r"images/manifest\.json: its images are not those of .*00001-of-00002\.json"):
        images_of(made, [decoded[0], tmp_path / "images" / "manifest.json"])
