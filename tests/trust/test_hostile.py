"""What the program of hostile prompts looks for beside the outputs: files where prompts' paths lead, and what is printed."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pnapo.artifacts import write_table, write_tensors
from pnapo.training.state import save_state
from trust import hostile
from trust.hostile import MARK, PROMPTS, SECRETS, Project, outside, said, secrets, standing


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = object.__new__(Project)
    made.folder = tmp_path / "top" / "in" / "a project"
    made.made, made.said = [made.folder / "results", made.folder / "mine"], ""
    for folder in (tmp_path / "home", tmp_path / "temporary", *made.made):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hostile, "LED_TO", ("~", str(tmp_path / "temporary")))
    return made


INSIDE = ("CON", f"results/a/{MARK}.png", "results/=1+1", "mine/кольцо.png", "mine/link")


@pytest.mark.parametrize(
    "name", [f"home/{MARK}", f"temporary/{MARK}", f"top/{MARK}", *(f"top/in/a project/{name}" for name in INSIDE)]
)
def test_a_file_of_a_prompts_name_is_seen(project, tmp_path, name):
    before = standing(project)
    for usual in ("results/a/0000.png", f"results/figures/geneval-{MARK}-0a.svg", ".cache/x y", "mine/images.csv"):
        path = project.folder / usual
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "home" / "of others").touch()
    assert outside(project, before)[1] == []
    made = tmp_path / name
    made.symlink_to("/etc/passwd") if made.name == "link" else made.touch()
    assert str(made) in outside(project, before)[1]


def test_what_commands_print_is_read(project):
    with pytest.raises(RuntimeError, match="only 0 lines"):
        said(project)
    project.said = "a line\n" * len(PROMPTS)
    assert said(project) == (len(PROMPTS), [])
    project.said += "\x1b[2J\n"
    assert said(project)[1]


def among(text):
    """Cells among which a text is neither the first nor the last, which a table's statistics tell."""
    return [*(f"a photo of ring {number}" for number in range(99)), text, "~"]


# A text in what is packed, compressed where it is one of many cells of a table.
PACKED = {
    "cells.parquet": lambda path, text: write_table(path, pd.DataFrame({"a": among(text)})),
    "kinds.parquet": lambda path, text: write_table(path, pd.DataFrame({"a": pd.Categorical(among(text))})),
    "lists.parquet": lambda path, text: pq.write_table(pa.table({"a": [among(text)]}), path, compression="zstd"),
    "name.parquet": lambda path, text: write_table(path, pd.DataFrame({text: [1]})),
    "noted.parquet": lambda path, text: pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"k": text}), path),
    "a.safetensors": lambda path, text: write_tensors(path, {"a": torch.zeros(1)}, {"made_from": text}),
    "state.pt": lambda path, text: save_state(path, {"key": text}),
}


@pytest.mark.parametrize("name", PACKED)
def test_secrets_are_seen_in_what_is_packed(project, name):
    made = project.folder / "results" / name
    PACKED[name](made, "none")
    assert secrets(project) == (1, [])
    PACKED[name](made, " ".join(SECRETS.values()))
    assert secrets(project) == (1, [str(made)] * len(SECRETS))
    if name in ("cells.parquet", "kinds.parquet", "lists.parquet"):  # else nothing was proven of unpacking
        assert not any(value.encode() in made.read_bytes() for value in SECRETS.values())
