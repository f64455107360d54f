"""A manifest finds every damaged file of its folder, and says so of itself when it is the damaged one."""

import json

import pytest

from pnapo.artifacts import read_manifest, require_intact, sha256, verify_manifest, write_manifest
from pnapo.errors import UserError


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    (tmp_path / "deep" / "b.txt").write_text("words")
    return write_manifest(tmp_path, "images", {"steps": 20}, ["deep/b.txt", "a.bin"], prompts=2)


def test_a_manifest_says_what_made_the_files(manifest):
    found = read_manifest(manifest, "images")
    assert manifest.name == "manifest.json"
    assert (found["kind"], found["settings"], found["prompts"]) == ("images", {"steps": 20}, 2)
    assert found["files"]["a.bin"] == {"sha256": sha256(manifest.parent / "a.bin"), "bytes": 256}
    assert found["versions"]["torch"]
    assert verify_manifest(manifest) == []
    assert require_intact(manifest, "images") == found


def test_what_varies_between_runs_is_not_in_it(manifest):
    first = manifest.read_bytes()
    (manifest.parent / "a.bin").touch()
    again = write_manifest(manifest, "images", {"steps": 20}, ["a.bin", "deep/b.txt"], prompts=2)
    assert again == manifest and again.read_bytes() == first


def flip(file):
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (flip, "its content is not what"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "255 bytes instead of 256"),
        (lambda file: file.unlink(), "missing"),
        (lambda file: (file.unlink(), file.mkdir()), "missing"),
    ],
    ids=["flipped bit", "truncated", "missing", "a folder in its place"],
)
def test_the_damaged_file_is_the_one_named(manifest, damage, problem):
    file = manifest.parent / "a.bin"
    damage(file)
    (line,) = verify_manifest(manifest)
    assert line.startswith(f"{file}: {problem}")
    with pytest.raises(UserError) as error:
        require_intact(manifest)
    assert str(error.value) == f"{line}; delete {manifest} and run again"


def test_all_damaged_files_are_listed(manifest):
    (manifest.parent / "a.bin").unlink()
    (manifest.parent / "deep" / "b.txt").write_text("Words")
    assert len(verify_manifest(manifest)) == 2


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"kind": "images"},
        {"kind": "images", "settings": {}, "files": ["a.bin"]},
        {"kind": "images", "settings": {}, "files": {"a.bin": {"bytes": 256}}},
    ],
)
def test_other_json_is_not_taken_for_a_manifest(manifest, content):
    manifest.write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        verify_manifest(manifest)
    assert str(error.value).startswith(f"{manifest}: not a ")


def test_another_kind_is_refused(manifest):
    with pytest.raises(UserError, match="describes 'images', but 'pairs' is needed here"):
        read_manifest(manifest, "pairs")
