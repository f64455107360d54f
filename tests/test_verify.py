"""Every kind of artefact has its check, and what is wrong is named."""

import errno
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from pnapo.artifacts import (
    read_manifest,
    write_csv,
    write_json,
    write_listing,
    write_manifest,
    write_record,
    write_table,
    write_tensors,
    write_text,
)
from pnapo.artifacts.images import encode_png, png_writer
from pnapo.cli import main
from pnapo.errors import UserError
from pnapo.refusals import about
from pnapo.tables.terminal import show
from pnapo.tables.write import write_all
from pnapo.verify import CHECKS, _check, inside, remedy, results_of, verify


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


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder, as the workflow leaves it behind: records, tables, and a manifest with its file."""
    folder = tmp_path / "results"
    monkeypatch.setenv("PNAPO_RESULTS", str(folder))
    for name in ("a", "b"):
        write_record(folder / "tuning" / "sd3" / f"{name}.json", {"score": name})
        write_table(folder / "scores" / name / "hps.parquet", pd.DataFrame({"score": [1.0]}))
        write_text(folder / "runs" / name / "notes.txt", name)
        write_manifest(folder / "runs" / name, "notes", {}, ["notes.txt"])
    write_text(folder / "logs" / "job.json", "no artefact")
    monkeypatch.delenv("PNAPO_RESULTS")
    return folder


def wrong(folder):
    """What `pnapo verify FOLDER` says is wrong: problem and remedy."""
    found, root = inside(folder), results_of(inside(folder))
    return [f"{problem}; {remedy(path, problem, root)}" for path in found for problem in verify(path, root)[1]]


def test_results_are_proven_whole_wherever_they_lie(results, tmp_path):
    assert wrong(results) == [] and len(inside(results)) == 6
    shutil.copytree(results, tmp_path / "elsewhere")
    shutil.copytree(results / "runs" / "a", tmp_path / "mine")
    assert wrong(tmp_path / "elsewhere") == wrong(tmp_path / "mine") == wrong(results / "scores") == []


@pytest.mark.parametrize(
    "pair", [("tuning/sd3/a.json", "tuning/sd3/b.json"), ("scores/a/hps.parquet", "scores/b/hps.parquet")]
)
def test_two_that_changed_places_are_found(results, pair):
    one, other = (results / name for name in pair)
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert wrong(results) == [
        f"{file}: lies in another's place, it was written as {name}; delete {file} and run `snakemake -- {file}`"
        for file, name in ((one, pair[1]), (other, pair[0]))
    ]


def test_what_nothing_proves_is_named_in_results_and_its_owner_is_to_be_deleted(results):
    file = results / "tuning" / "sd3" / "a.json"
    file.write_text(file.read_text().replace("pnapo-seal", "pnapo-sea1"))
    (results / "images").mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(results / "images" / "images.parquet")
    manifest = results / "images" / "manifest.json"
    (results / "prompts").mkdir()
    embeddings = results / "prompts" / "embeddings.safetensors"
    embeddings.write_bytes(b"")
    first, third, second = sorted(wrong(results))
    assert third.endswith(f"delete {embeddings} and run `snakemake -- {embeddings}`")
    assert "has no seal" in second and second.endswith(f"delete {file} and run `snakemake -- {file}`")
    assert "images.parquet" in first and first.endswith(f"delete {manifest} and run `snakemake -- {manifest}`")


def test_weights_that_no_manifest_lists_belong_to_the_nearest_above(results):
    weights, manifest = results / "runs" / "a" / "snapshots" / "1" / "x.safetensors", results / "runs/a/manifest.json"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    (line,) = wrong(results)
    assert line.startswith(f"{weights}: ") and line.endswith(f"delete {manifest} and run `snakemake -- {manifest}`")


def test_what_programs_beside_the_workflow_wrote_is_not_asked_for(results):
    for name in ("trust/damage.json", "benchmarks.json", "benchmarks-gpu.json", "benchmarks/train.tsv"):
        write_text(results / name, "[]")
    assert wrong(results) == []


def test_what_may_not_be_read_is_told_and_not_to_be_deleted_and_the_rest_is_verified(results, monkeypatch, capsys):
    closed, damaged = results / "tuning" / "sd3" / "a.json", results / "scores" / "a" / "hps.parquet"
    damaged.write_bytes(b"")

    def read(path):
        with about(path):
            if Path(path) == closed:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return read_manifest(path)

    monkeypatch.setattr("pnapo.verify.read_manifest", read)
    with pytest.raises(SystemExit, match="1"):
        main(["verify", str(results)])
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if str(closed) in line]
    assert "no permission" in line and "delete" not in line
    assert f"delete {damaged}" in said and said.count(": ok (") == len(inside(results)) - 2


def test_a_damaged_manifest_is_named_alone(results):
    write_tensors(results / "runs" / "a" / "x.safetensors", {"x": torch.zeros(1)})
    manifest = results / "runs" / "a" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("notes", "NOTES"))
    (line,) = wrong(results)
    assert line.startswith(f"{manifest}: damaged") and line.endswith(
        f"delete {manifest} and run `snakemake -- {manifest}`"
    )


def test_results_without_seals_are_proven_by_a_manifest_beside_them(results, monkeypatch):
    frame, tables = pd.DataFrame({"run": ["a"], "mean": [0.25]}), results / "tables"
    with monkeypatch.context() as patch:
        patch.setenv("PNAPO_RESULTS", str(results))
        write_all(frame, tables / "main.csv", "A caption.")
        write_csv(results / "curves" / "a.csv", frame)
        write_listing(results / "curves.manifest.json", "curves", ["curves/a.csv"])
    assert wrong(results) == []
    listing = tables / "main.manifest.json"
    for file in (tables / "main.csv", tables / "main.tex"):
        data = file.read_bytes()
        file.write_bytes(data.replace(b"a", b"b"))
        (line,) = wrong(results)
        assert line.startswith(f"{file}: its content is not what") and f"delete {listing} and" in line
        file.write_bytes(data)
    listing.write_text(listing.read_text().replace("sha256", "sha257"))
    (results / "curves.manifest.json").write_text("")
    named = {line.partition(": ")[0] for line in wrong(results)}
    assert named == {str(listing), str(results / "curves.manifest.json")}
    monkeypatch.setenv("PNAPO_RESULTS", str(results))
    listing.unlink()
    with pytest.raises(UserError, match=r"main\.manifest\.json: no such file"):
        show(tables / "main.csv")
    (tables / "notes.md").write_text("mine")
    assert f"{tables / 'notes.md'}: no manifest lists it, so nothing proves it" in "\n".join(wrong(results))
