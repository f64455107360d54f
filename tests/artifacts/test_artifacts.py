"""Files are whole or not there; damage is named; the same content gives the same bytes."""

import json

import pandas as pd
import pytest
import torch

from pnapo import artifacts
from pnapo.errors import UserError


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    artifacts.write_text(path, "first")
    with pytest.raises(RuntimeError), artifacts.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_prompt_ids_are_of_the_text_alone():
    assert artifacts.prompt_id("a photo of a ring") == "96d0ee9979844bfb"
    assert artifacts.prompt_id("\ud800") != artifacts.prompt_id("\ud801")  # lone surrogates occur in the wild


def test_tables_are_the_same_bytes_and_damage_is_named(tmp_path):
    frame = pd.DataFrame({"prompt": ["a", "ü\n😀"], "n": [1, 2]})
    for name in ("a", "b"):
        artifacts.write_table(tmp_path / f"{name}.parquet", frame)
    path = tmp_path / "a.parquet"
    assert path.read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(artifacts.read_table(path, ["prompt", "n"]), frame)
    with pytest.raises(UserError, match=r"a\.parquet: no column 'm'; it has 'prompt', 'n'"):
        artifacts.read_table(path, ["m"])
    with pytest.raises(UserError, match="no such file"):
        artifacts.read_table(tmp_path / "c.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"a\.parquet: .*damaged or truncated"):
        artifacts.read_table(path)


def test_tensors_are_bit_exact_and_damage_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"x": torch.randn(3, 4), "y": torch.tensor([float("nan"), 1e-45])}
    artifacts.write_tensors(path, tensors, {"prompt_ids": '["ü"]'})
    found = artifacts.read_tensors(path)
    assert all(torch.equal(found[k].view(torch.int32), tensors[k].view(torch.int32)) for k in tensors)
    assert artifacts.read_metadata(path) == {"prompt_ids": '["ü"]'}
    for content in (b"", path.read_bytes()[:-1], b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.safetensors"):
            artifacts.read_tensors(path)


def test_a_manifest_finds_every_kind_of_damage(tmp_path):
    for name in ("a", "b", "c"):
        artifacts.write_text(tmp_path / name, name * 10)
    manifest = artifacts.write_manifest(tmp_path, "letters", {"n": 3}, ["c", "a", "b"])
    assert artifacts.verify_manifest(manifest, "letters") == []
    assert list(json.loads(manifest.read_text())["files"]) == ["a", "b", "c"]
    before = manifest.read_bytes()
    artifacts.write_manifest(tmp_path, "letters", {"n": 3}, ["a", "b", "c"])
    assert manifest.read_bytes() == before
    (tmp_path / "a").write_text("a" * 9 + "x")
    (tmp_path / "b").write_text("b" * 9)
    (tmp_path / "c").unlink()
    problems = artifacts.verify_manifest(manifest)
    assert len(problems) == 3 and "content" in problems[0] and "9 bytes" in problems[1] and "missing" in problems[2]
    with pytest.raises(UserError, match="a: its content"):
        artifacts.require_intact(manifest)
    with pytest.raises(UserError, match="describes 'letters', but 'pairs' is needed"):
        artifacts.read_manifest(manifest, "pairs")
    manifest.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        artifacts.read_manifest(manifest)
