"""Images on disk: exact pixels, and damage is named."""

import numpy as np
import pytest

from pnapo.benchmarks.images import decode_png, encode_png, read_images, write_images
from pnapo.errors import UserError


@pytest.fixture
def written(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 32, 3), dtype=np.uint8) for height in (32, 8, 32)]
    write_images(tmp_path / "manifest.json", ["a", "a", "b"], [0, 1, 0], images, {"seed": 1})
    return tmp_path / "manifest.json", images


def test_pixels_survive_exactly(written):
    manifest, images = written
    table, found = read_images(manifest)
    assert table.to_dict("list") == {"prompt_id": ["a", "a", "b"], "sample": [0, 1, 0]}
    assert all(a.dtype == np.uint8 and np.array_equal(a, b) for a, b in zip(found, images))
    assert encode_png(images[0]) == encode_png(decode_png(encode_png(images[0])))


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\0"),
        lambda file: file.write_bytes(file.read_bytes()[:-20]),
        lambda file: file.unlink(),
    ],
    ids=["flipped", "truncated", "missing"],
)
def test_a_damaged_file_is_named(written, damage):
    manifest, _ = written
    damage(manifest.with_name("images.parquet"))
    with pytest.raises(UserError, match=r"images\.parquet"):
        read_images(manifest)


def test_images_are_not_read_from_another_kind_of_manifest(written):
    manifest, _ = written
    manifest.write_text(manifest.read_text().replace('"kind": "images"', '"kind": "pairs"'))
    with pytest.raises(UserError, match="describes 'pairs', but 'images' is needed"):
        read_images(manifest)
