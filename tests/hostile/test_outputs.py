"""What is written and printed runs nothing and keeps no secret, whatever names and texts stand in it."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pnapo.artifacts import write_csv
from pnapo.artifacts.tables import as_csv
from pnapo.commands import common
from pnapo.config import load_config, validate
from pnapo.errors import UserError
from pnapo.pairs.hub_card import card
from pnapo.prompts.sources import read_column
from pnapo.scripting import guard
from pnapo.tables.terminal import show
from pnapo.tables.write import Cell, Grid, latex
from pnapo.training.model_card import _license

NASTY = ["=1+1", "+1+1", "-cmd", "@SUM(1)", "\t=1", "\r=1", "a;=1", "'=1", "plain", 'a "b", c']


def test_a_spreadsheet_runs_no_cell_and_our_tables_are_read_as_they_were(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [f"{n}.png" for n in range(len(NASTY))], "prompt": NASTY, "hps": -0.5})
    write_csv(tmp_path / "t.csv", frame)
    cells = [row["prompt"] for row in csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text("utf-8"), newline=""))]
    assert cells[:5] == ["'=1+1", "'+1+1", "'-cmd", "'@SUM(1)", "'\t'=1"]
    assert read_column(tmp_path / "t.csv") == NASTY
    assert as_csv(frame[:1]) == "image,prompt,hps\n0.png,'=1+1,-0.5\n"
    (tmp_path / "foreign.csv").write_text("prompt\n'=1\n", "utf-8")
    assert read_column(tmp_path / "foreign.csv") == ["'=1"], "others' lists stay as they are"


def test_a_terminal_obeys_no_cell(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_csv(
        tmp_path / "t.csv", pd.DataFrame({"run": ["[red]x[/red]", "\x1b[2Jy", "[/]"], "[link=a]b": ["c", "d", "e"]})
    )
    show(tmp_path / "t.csv")
    told = capsys.readouterr().out
    assert "[red]x[/red]" in told and r"\x1b[2Jy" in told and "\x1b[2J" not in told and "[link=a]b" in told


def test_no_row_of_a_latex_table_is_an_argument() -> None:
    text = latex([Grid(["[h]", "b"], [[Cell("[1cm] x"), Cell("[y]")], [Cell("* z"), Cell("1")]])], "c", "t")
    rows = [line.strip() for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert [row[:4] for row in rows] == ["{}[h", "{}[1", "{}* "]


def test_errors_and_lines_of_progress_hold_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret-token")

    def wrong(kind: type[Exception]) -> None:
        raise kind("a-secret-token\nof \x1b[31m https://me:word@host")

    for kind in (UserError, RuntimeError):
        with pytest.raises(SystemExit) as ended:
            guard(lambda kind=kind: wrong(kind))
        assert ended.value.code == 1
    common.log("a-secret-token\r\x07")
    found = capsys.readouterr()
    assert found.err.startswith("error: ***\\nof \\x1b[31m https://***@host\nTraceback")
    assert found.out == "***\\r\\x07\n" and "secret" not in found.err and "word" not in found.err


@pytest.mark.parametrize(
    "url", ["https://me:word@host/a.pt", "https://host/a.pt?token=word0000", "https://host/?a=1&sig=word"]
)
def test_a_configuration_holds_no_secret(url: str) -> None:
    raw = load_config("config.yaml").model_dump(mode="json")
    raw["downloads"] = {"weights": {"url": url, "path": "a.pt"}}
    with pytest.raises(UserError, match=r"downloads\.weights\.url: holds a password or token") as found:
        validate(raw)
    assert "word0" not in str(found.value) and ":word" not in str(found.value)


def test_a_card_holds_names_as_text(tmp_path: Path) -> None:
    folder = tmp_path / 'a"b <script>'
    folder.mkdir()
    settings = {
        "samples": 2,
        "latent_shape": [1],
        "family": "sd3",
        "model": "x`\n\n# y <b>",
        "steps": 1,
        "guidance": 1.0,
    }
    text = card(folder.name, settings, {"a: [b": (None, {"_type": "Image"})}, [], folder, 1, ["l`|\n| z"])
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["pretty_name"] == folder.name and head["dataset_info"]["features"][0]["name"] == "a: [b"
    assert "# y" not in [line[:3] for line in text.splitlines()] and '\n# a"b \\<script\\>\n' in text
    assert 'load_dataset("a\\"b <script>"' in text and "\n| z" not in text


def test_a_base_models_card_cannot_explode(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)), "license: *a39"]
    (tmp_path / "README.md").write_text("---\n" + "\n".join(lines) + "\n---\n", "utf-8")
    assert _license(tmp_path / "README.md") == {"license": "other", "license_name": "as-the-base-model"}
    (tmp_path / "README.md").write_text("---\nlicense: " + "[" * 5000 + "\n---\n", "utf-8")
    assert _license(tmp_path / "README.md")["license"] == "other"
