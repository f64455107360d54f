"""The corpus through everything that writes text, read back as a browser, LaTeX, a spreadsheet and a terminal would."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import write_csv
from pnapo.artifacts.images import encode_png
from pnapo.study.choose import Pair, Picture
from pnapo.study.page import render
from pnapo.tables.terminal import show
from pnapo.tables.write import write_all
from pnapo.text import presentable
from trust import surfaces

CORPUS = runpy.run_path(str(Path(__file__).with_name("corpus.py")))
MARK, PROMPTS = CORPUS["MARK"], CORPUS["PROMPTS"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_all(pd.DataFrame({"prompt": PROMPTS, "other": PROMPTS[::-1], "score": -0.5}), path, " ".join(PROMPTS))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".md", ".tex"])
def test_tables_hold_text_alone(table: Path, suffix: str) -> None:
    look = {".csv": surfaces.sheet, ".tex": surfaces.latex, ".md": lambda text: surfaces.markdown(text, MARK)}[suffix]
    assert list(look(table.with_suffix(suffix).read_bytes().decode())) == []


def test_the_page_of_a_study_holds_text_alone() -> None:
    picture = Picture.of(encode_png(np.zeros((4, 4, 3), np.uint8)))
    pairs = [Pair(f"{n}", prompt, ("a", "b"), (picture, picture)) for n, prompt in enumerate(PROMPTS)]
    page = render(pairs)[1]
    script = Path("pnapo/study/templates/study.js").read_text("utf-8")
    assert list(surfaces.html(page, MARK, script)) == []
    assert [pair["prompt"] for pair in surfaces.data_of(page)[0]["pairs"]] == PROMPTS


def test_messages_hold_text_alone() -> None:
    assert [prompt for prompt in PROMPTS if list(surfaces.log(presentable(prompt), MARK))] == []
    assert list(surfaces.log("\x1b[31m"))


def test_a_table_in_the_terminal_holds_text_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"score": -0.5, "prompt": PROMPTS}))
    show(tmp_path / "t.csv")
    said = capsys.readouterr().out
    assert list(surfaces.log(said, MARK)) == []
    assert said.count("\n") > len(PROMPTS) and said.count(MARK) >= sum(MARK in text for text in PROMPTS)


@pytest.mark.parametrize("text", CORPUS["TERMINAL"][:5])
def test_a_terminal_that_obeys_a_prompt_is_seen(text: str) -> None:
    assert list(surfaces.log(f"images 1 of 2: {text}\n", MARK)), text


@pytest.mark.parametrize("text", CORPUS["HTML"][:8] + CORPUS["HTML"][9:13])
def test_a_page_that_runs_a_prompt_is_seen(text: str) -> None:
    page = f"<html>{'<p>' * 20}<textarea><style></style></textarea><p>{{}}</p></html>"
    assert list(surfaces.html(page.format("a ring"), MARK)) == []
    assert list(surfaces.html(page.format(text), MARK)), text


@pytest.mark.parametrize("text", CORPUS["LATEX"])
def test_latex_that_runs_a_prompt_is_seen(table: Path, text: str) -> None:
    tex = table.with_suffix(".tex").read_text("utf-8")
    assert list(surfaces.latex(tex.replace("    \\midrule\n", f"    \\midrule\n{text} & a \\\\\n"))), text


@pytest.mark.parametrize("text", CORPUS["SHEETS"][:10])
def test_a_formula_is_seen(text: str) -> None:
    assert list(surfaces.sheet(pd.DataFrame({"a": [text], "b": "x"}).to_csv(index=False))), text


def test_markdown_that_a_prompt_writes_is_seen() -> None:
    assert all(list(surfaces.markdown(f"| a |\n| --- |\n| {text} |\n", MARK)) for text in CORPUS["MARKDOWN"][1:4])


def test_front_matter_that_is_none_is_seen() -> None:
    assert surfaces.front_matter("---\na: 1\n---\nb\n") == {"a": 1}
    for text in ("---\n- a\n---\nb", "a: 1", "---\na: [\n---\nb"):
        with pytest.raises(Exception):  # noqa: B017
            surfaces.front_matter(text)
