"""Images on disk: exact pixels, and damage is named."""

import numpy as np
import pytest

from pnapo.artifacts import images as stored
from pnapo.artifacts import write_record
from pnapo.artifacts.images import Images, decode_png, encode_png, make_images, pngs_of
from pnapo.artifacts.manifest import read_manifest
from pnapo.errors import UserError


def make(manifest, how, **changes):
    """Makes five images in batches of two; returns how many were made now."""
    ids, samples = ["a", "a", "b", "b", "c"], [0, 1, 0, 1, 0]
    options = {"batch": 2, "made_from": "test", "source": __file__, "log": lambda line: None}
    return make_images(manifest, {"seed": 1}, ids, samples, how, **options | changes)


@pytest.fixture
def written(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 32, 8, 3), dtype=np.uint8)
    make(tmp_path / "manifest.json", lambda rows: images[rows.start : rows.stop])
    return tmp_path / "manifest.json", images


def test_pixels_survive_exactly(written):
    manifest, images = written
    found = Images(manifest)
    assert found.table.to_dict("list") == {"prompt_id": ["a", "a", "b", "b", "c"], "sample": [0, 1, 0, 1, 0]}
    assert np.array_equal(np.stack(list(found)), images) and next(iter(found)).dtype == np.uint8
    assert found.settings == [{"seed": 1}] and read_manifest(manifest)["count"] == len(found) == 5
    assert encode_png(images[0]) == encode_png(decode_png(encode_png(images[0])))


def test_several_manifests_are_read_as_one_and_in_order(written, monkeypatch):
    manifest, images = written
    monkeypatch.setattr(stored, "AHEAD", 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = list(Images(manifest, manifest).map(lambda pixels: int(pixels.astype(int).sum())))
    assert found == 2 * [int(image.sum()) for image in images] and len(set(found)) == 5


def test_a_killed_job_makes_only_the_images_that_are_left_and_the_same_bytes(written, tmp_path):
    manifest, images = written
    asked = []

    def how(rows, last=5):
        asked.append((rows.start, rows.stop))
        if rows.stop > last:
            raise KeyboardInterrupt
        return images[rows.start : rows.stop]

    again = tmp_path / "again" / "manifest.json"
    with pytest.raises(KeyboardInterrupt):  # while the third part is made, the second is being encoded
        make(again, lambda rows: how(rows, 4))
    assert [path.name for path in again.parent.iterdir()] == [".manifest.work"]
    assert make(again, how) == 3 and asked[3:] == [(2, 4), (4, 5)]
    assert sorted(path.name for path in again.parent.iterdir()) == ["images.parquet", "manifest.json"]
    for name in ("manifest.json", "images.parquet"):
        assert again.with_name(name).read_bytes() == manifest.with_name(name).read_bytes()


def test_a_few_are_read_without_the_others(written):
    manifest, images = written
    found = pngs_of(manifest, ["b", "a"], sample=1)
    assert {name: decode_png(png).tolist() for name, png in found.items()} == {
        "a": images[1].tolist(),
        "b": images[3].tolist(),
    }
    file, first = manifest.with_name("images.parquet"), encode_png(images[0])
    file.write_bytes(file.read_bytes().replace(first, first[:-1] + b"\0"))
    assert pngs_of(manifest, ["b"]) == {"b": encode_png(images[2])}, "another row group"
    with pytest.raises(UserError, match=r"images\.parquet: damaged"):
        pngs_of(manifest, ["a"], sample=1)
    with pytest.raises(UserError, match="no image of prompt 00ff"):
        pngs_of(manifest, ["b", "00ff"])


def test_no_damage_gives_another_image(written):
    """Though a few images are read without the hash of their file."""
    manifest, _ = written
    file, ids = manifest.with_name("images.parquet"), ["a", "b", "c"]
    data, whole = file.read_bytes(), pngs_of(manifest, ["a", "b", "c"])
    wrong = []
    for place in range(len(data)):
        file.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        try:
            wrong += [place] if pngs_of(manifest, ids) != whole else []
        except UserError as error:
            assert "\n" not in str(error)
        with pytest.raises(UserError):
            list(Images(manifest))
    assert wrong == []


def test_the_images_of_another_run_are_refused(written, tmp_path):
    manifest, images = written
    make(tmp_path / "other" / "manifest.json", lambda rows: 255 - images[rows.start : rows.stop])
    (tmp_path / "other" / "images.parquet").replace(manifest.with_name("images.parquet"))
    for read in (lambda: pngs_of(manifest, ["a"]), lambda: Images(manifest)):
        with pytest.raises(UserError, match=rf"images\.parquet: .*; delete {manifest} and run again"):
            read()


def test_images_whose_making_fails_leave_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / "new" / "manifest.json", lambda rows: 1 // 0)
    assert not list((tmp_path / "new").iterdir())


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
        Images(manifest)


def test_images_are_not_read_from_another_kind_of_manifest(written):
    manifest, _ = written
    write_record(manifest, read_manifest(manifest) | {"kind": "pairs"})
    with pytest.raises(UserError, match="describes 'pairs', but 'images' is needed"):
        Images(manifest)
