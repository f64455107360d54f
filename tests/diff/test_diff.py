"""Where two results folders first part, in the order of the story, what differs, and what is not counted."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from pnapo import cli
from pnapo.artifacts import write_manifest, write_table, write_tensors, write_text
from pnapo.artifacts.images import encode_png, png_writer
from pnapo.diff.runs import compare

PROMPTS = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["<b>x</b>\n", "y"], "score": [0.5, np.nan]})


def write_run(folder, *, seed=0, beta=300, loss=0.7, weight=1.0, score=0.25, pixel=3, clock=1.0):
    """The results of one small run."""
    write_table(folder / "prompts" / "safe.parquet", PROMPTS)
    write_table(folder / "prompts" / "selected.parquet", PROMPTS[["prompt_id", "prompt"]])
    run = folder / "runs" / "sd3" / "pnapo-s0"
    lines = [{"step": 0, "loss": 0.69, "margin": None}, {"step": 1, "loss": loss, "margin": 0.1}]
    write_text(run / "train_log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    tensors = {"b": torch.ones(2), "a": torch.tensor([1.0, weight])}
    write_tensors(run / "pytorch_lora_weights.safetensors", tensors)
    write_text(run / "speed.jsonl", str(clock))
    names = ["pytorch_lora_weights.safetensors", "train_log.jsonl"]
    write_manifest(run, "checkpoint", {"run": {"beta": beta}, "seed": seed}, names)
    write_manifest(run / "compute.json", "cost", {}, ["speed.jsonl"], seconds=clock)
    images = folder / "images" / "sd3" / "pnapo-s0" / "heldout"
    with png_writer(images / "manifest.json", {"steps": 2}) as add:
        pixels = np.zeros((2, 4, 4, 3), np.uint8)
        pixels[1, 2, 2] = pixel
        add(["a", "b"], [0, 0], [encode_png(image) for image in pixels])
    scores = PROMPTS[["prompt_id"]].assign(score=[1.0, score])
    write_table(folder / "scores" / "sd3" / "pnapo-s0" / "heldout" / "hps.parquet", scores)
    write_text(folder / "tables" / "main.csv", f"run,mean\npnapo,{(1 + score) / 2}\n")
    write_text(folder / "tables" / "compute.csv", f"run,seconds\npnapo,{clock}\n")
    write_text(folder / "logs" / "train.log", str(clock))
    return folder


@pytest.fixture
def one(tmp_path, monkeypatch):
    monkeypatch.setenv("PNAPO_RESULTS", str(tmp_path / "one"))
    return write_run(tmp_path / "one")


@pytest.fixture
def pair(one, tmp_path, monkeypatch):
    """Makes another run with other numbers and compares them."""

    def make(**changed):
        monkeypatch.setenv("PNAPO_RESULTS", str(tmp_path / "other"))
        return compare(one, write_run(tmp_path / "other", **changed))

    return make


def test_runs_that_differ_in_their_clocks_are_equal(pair):
    found = pair(clock=2.5)
    assert found.first is None and found.left_out == 4 and found.notes == []
    assert [stage.name for stage in found.stages] == [
        "configuration",
        "prompts",
        "trainings",
        "images",
        "scores",
        "tables",
    ]


RUN, IMAGES = "runs/sd3/pnapo-s0", "images/sd3/pnapo-s0/heldout"


@pytest.mark.parametrize(
    ("changed", "stage", "said"),
    [
        ({"beta": 301}, "configuration", f"{RUN}/manifest.json: run.beta: 300 and 301"),
        ({"loss": 0.75}, "trainings", f"{RUN}/train_log.jsonl: first at step 1: loss 0.7 and 0.75 (by 0.05)"),
        (
            {"weight": 1.5},
            "trainings",
            f"{RUN}/pytorch_lora_weights.safetensors: a in 1 of 2 numbers by at most 0.5",
        ),
        ({"pixel": 5}, "images", f"{IMAGES}/images.parquet: 1 of 2 images, by at most 2 of 255"),
        ({"score": 0.3}, "scores", "scores/sd3/pnapo-s0/heldout/hps.parquet: score in 1 of 2 rows by at most 0.05"),
    ],
)
def test_the_first_difference_is_named_with_its_size(pair, changed, stage, said):
    first = pair(**changed).first
    assert (first.name, first.different[0]) == (stage, said)


def test_what_follows_a_difference_is_told_too(pair):
    found = {stage.name: stage.different for stage in pair(score=0.3).stages}
    assert found["tables"] == ["tables/main.csv: mean in 1 of 1 rows by at most 0.025"] and not found["images"]


def test_what_is_missing_on_one_side_parts(one, tmp_path, capsys):
    shutil.copytree(one, tmp_path / "other")
    (tmp_path / "other" / "prompts" / "selected.parquet").unlink()
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", str(one), str(tmp_path / "other")])
    said = capsys.readouterr().out
    assert ended.value.code == 1 and said.splitlines()[-1].startswith("they first part in: prompts, ")
    assert f"prompts/selected.parquet: only in {one}" in said


def test_texts_in_other_rows_and_other_rows_are_told(one, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(one, other)
    write_table(other / "prompts" / "safe.parquet", PROMPTS.assign(prompt=["<b>x</b>\n", "z"], score=[0.5, 0.5]))
    write_table(other / "prompts" / "selected.parquet", PROMPTS[["prompt_id", "prompt"]][:1])
    assert compare(one, other).first.different == [
        "prompts/safe.parquet: prompt in 1 of 2 rows, first in row 1; score in 1 of 2 rows by at most what is no number",
        "prompts/selected.parquet: 2 and 1 rows",
    ]


def test_the_same_content_written_for_another_place_is_equal(one, tmp_path, monkeypatch):
    monkeypatch.delenv("PNAPO_RESULTS")
    assert compare(one, write_run(tmp_path / "mine")).first is None


def test_exit_status(one, tmp_path, capsys):
    for arguments, status, said in (
        ([one, one], 0, "they are equal"),
        ([one, tmp_path / "none"], 2, "none: no such folder; give two results folders"),
        ([one], 2, "the following arguments are required: RESULTS_B"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(["diff", *map(str, arguments)])
        told = capsys.readouterr()
        assert ended.value.code == status and said in told.out + told.err
