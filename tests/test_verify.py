"""Every kind of artefact has its check, and what is wrong is named."""

import json
import shutil

import pandas as pd
import pytest
import torch

from pnapo.artifacts import write_csv, write_json, write_manifest, write_table, write_tensors
from pnapo.artifacts.images import encode_png, png_writer
from pnapo.errors import UserError
from pnapo.verify import CHECKS, _check, inside, verify


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of two steps, as training writes it."""

    def make(weight=0.0, steps=2, **other):
        folder, settings = tmp_path / "run", {"run": {"steps": 2}, "seed": 0}
        write_tensors(folder / "pytorch_lora_weights.safetensors", {"a": torch.tensor([1.0, weight])})
        (folder / "train_log.jsonl").write_text("".join(json.dumps({"step": step}) + "\n" for step in range(steps)))
        write_json(folder / "settings.json", {**settings, **other})
        names = ["pytorch_lora_weights.safetensors", "settings.json", "train_log.jsonl"]
        return write_manifest(folder, "checkpoint", settings, names)

    return make


def test_every_check_exists():
    assert all(callable(_check(kind)) for kind in CHECKS)


def test_a_checkpoint(checkpoint):
    assert verify(checkpoint()) == ("checkpoint", [])
    for change, said in (
        ({"weight": torch.nan}, "pytorch_lora_weights.safetensors: a is not finite"),
        ({"steps": 1}, "train_log.jsonl: not one line for each of 2 steps"),
        ({"seed": 1}, "settings.json: other settings than"),
    ):
        _, problems = verify(checkpoint(**change).parent)
        assert len(problems) == 1 and said in problems[0]


def test_a_shard_alone(made, tmp_path):
    shutil.copytree(made.parent / "samples", tmp_path / "samples")
    shards = sorted((tmp_path / "samples").glob("*.json"))
    assert verify(shards[0]) == ("shard", [])
    file = shards[1].with_suffix(".safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 0x80
    file.write_bytes(data)
    _, problems = verify(shards[1])
    assert "its content is not what" in problems[0] and "is not what its key says" in problems[1]


def test_images(tmp_path):
    png = encode_png(torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    with png_writer(tmp_path / "manifest.json", {}) as add:
        add(["a", "a"], [0, 1], [png, png[:40]])
    _, problems = verify(tmp_path)
    assert len(problems) == 1 and problems[0].endswith("images.parquet: the image of row 1 cannot be read")


def test_tables_and_tensors(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    write_table(tmp_path / "t.parquet", frame)
    write_csv(tmp_path / "t.csv", frame)
    write_tensors(tmp_path / "x.safetensors", {"ok": torch.zeros(2), "bad": torch.tensor([torch.inf])})
    assert verify(tmp_path / "t.parquet") == verify(tmp_path / "t.csv") == ("table, 2 rows", [])
    assert verify(tmp_path / "x.safetensors")[1] == [f"{tmp_path}/x.safetensors: bad is not finite"]
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[: len(data) // 2])
    (tmp_path / "t.csv").write_text("")
    for name in ("t.parquet", "t.csv", "none.csv"):
        (problem,) = verify(tmp_path / name)[1]
        assert problem.startswith(f"{tmp_path / name}: ")
    with pytest.raises(UserError, match="not an artefact"):
        verify(tmp_path / "readme.md")


def test_a_folder_stands_for_what_is_below_it(made, checkpoint, tmp_path):
    shutil.copytree(made.parent, tmp_path / "pairs")
    listed = checkpoint()
    write_table(tmp_path / "pairs" / "labels" / "hps.parquet", pd.DataFrame({"a": [1]}))
    write_json(tmp_path / "other.json", {"kind": "of another program"})
    found = [str(path.relative_to(tmp_path)) for path in inside(tmp_path)]
    assert found == ["pairs/manifest.json", str(listed.relative_to(tmp_path)), "pairs/labels/hps.parquet"]
    (tmp_path / "run" / "manifest.json").write_text("{")
    assert tmp_path / "run" / "manifest.json" in inside(tmp_path)
    with pytest.raises(UserError, match=r"holds no manifest\.json"):
        inside(tmp_path / "pairs" / "labels" / "none")
