"""Images of a user's prompts: with their noise or without, they are the same; and what was killed goes on."""

import pandas as pd
import pytest

from pnapo.artifacts.images import decode_png
from pnapo.benchmarks import own
from pnapo.benchmarks.own import generate
from pnapo.config.schema import TestSet
from pnapo.errors import UserError
from pnapo.pairs.layout import images_beside, prompts_of
from pnapo.pairs.store import PairSet, shard_manifests
from pnapo.pairs.verify import verify_pairs
from pnapo.prompts.sources import gather_prompts

SETTINGS = TestSet(images=2, steps=2, seed=5)


def silent(line):
    pass


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "p.txt").write_text("a ring\na star\na ring\n")
    return gather_prompts([str(tmp_path / "p.txt"), "a cross", "a star"])


def pngs(folder, table):
    return {name: (folder / name).read_bytes() for name in table["image"]}


def test_with_their_noise_the_images_are_the_same_and_a_pair_set(models, prompts, tmp_path, monkeypatch):
    assert list(prompts["prompt"]) == ["a ring", "a star", "a cross"]
    plain = generate(models["sd3"], prompts, SETTINGS, tmp_path / "plain", log=silent)
    monkeypatch.setattr(own, "SHARD", 2)
    kept = generate(models["sd3"], prompts, SETTINGS, tmp_path / "kept", keep_noise=True, log=silent)
    pd.testing.assert_frame_equal(plain, kept)
    assert list(plain["prompt"]) == ["a ring"] * 2 + ["a star"] * 2 + ["a cross"] * 2
    assert pngs(tmp_path / "plain", plain) == pngs(tmp_path / "kept", kept)
    assert decode_png((tmp_path / "plain" / "00001-1.png").read_bytes()).shape == (32, 32, 3)
    assert sorted(file.name for file in (tmp_path / "plain").iterdir()) == [
        "00000-0.png",
        *plain["image"][1:],
        "images.csv",
    ]
    manifest = tmp_path / "kept" / "manifest.json"
    assert verify_pairs(manifest) == [] and len(shard_manifests(manifest)) == 2 == len(images_beside(manifest))
    assert PairSet.open(manifest).settings["seed"] == 5
    pd.testing.assert_frame_equal(prompts_of(manifest), prompts)


def test_a_killed_one_goes_on_and_shards_of_other_settings_are_made_again(models, prompts, tmp_path, monkeypatch):
    monkeypatch.setattr(own, "SHARD", 2)
    whole = generate(models["sd3"], prompts, SETTINGS, tmp_path / "whole", keep_noise=True, log=silent)
    with monkeypatch.context() as patched:
        patched.setattr(own, "collect", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(models["sd3"], prompts, SETTINGS, tmp_path / "cut", keep_noise=True, log=silent)
    lines = []
    generate(models["sd3"], prompts, SETTINGS, tmp_path / "cut", keep_noise=True, log=lines.append)
    assert not [line for line in lines if line.startswith("shard")]
    assert pngs(tmp_path / "cut", whole) == pngs(tmp_path / "whole", whole)
    with pytest.raises(UserError, match="holds images already"):
        generate(models["sd3"], prompts, SETTINGS, tmp_path / "cut", keep_noise=True, log=silent)
    (tmp_path / "cut" / "images.csv").unlink()
    with pytest.raises(UserError, match="holds a pair set already"):
        generate(models["sd3"], prompts, SETTINGS, tmp_path / "cut", keep_noise=True, log=silent)
    (tmp_path / "cut" / ".work").mkdir()  # as a killed job leaves it
    other = SETTINGS.model_copy(update={"seed": 6})
    generate(models["sd3"], prompts, other, tmp_path / "cut", keep_noise=True, log=silent)
    assert verify_pairs(tmp_path / "cut" / "manifest.json") == []
    assert pngs(tmp_path / "cut", whole) != pngs(tmp_path / "whole", whole)
