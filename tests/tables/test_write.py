import re

import pandas as pd

from pnapo.artifacts import verify_manifest
from pnapo.tables.write import Cell, Grid, escape_latex, latex, markdown, write_all
from pnapo.text import escape_markdown

NASTY = "50% & $x_1$ #2 \\cmd{~^} <b>|*`\n\x07\u202e🙂"


def test_latex_escapes_every_special():
    text = escape_latex(NASTY)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}", "", text)
    assert not re.search(r"(?<!\\)[&%$#_{}~^\\]", re.sub(r"\\[&%$#_{}]", "", plain))
    assert text.startswith(r"50\% \& \$x\_1\$ \#2 \textbackslash{}cmd\{\textasciitilde{}\textasciicircum{}\}")
    assert text.isascii() and text.endswith("[U+2407][U+FFFD][U+1F642]") and "\n" not in text


def test_markdown_stays_one_cell():
    text = escape_markdown(NASTY)
    assert not re.search(r"(?<!\\)[|<*`$]", text) and "\n" not in text
    assert escape_markdown("diffusion_dpo _a_") == r"diffusion_dpo \_a\_"


def test_files_round_digits_and_align(tmp_path):
    frame = pd.DataFrame({"run": ["a|b", "longer"], "score": [1 / 3, 2.0], "n": [1234, 5], "note": [None, "x"]})
    write_all(frame, tmp_path / "t.csv", "100 % of it.", {"score": ".2f"})
    assert (tmp_path / "t.csv").read_text() == "run,score,n,note\na|b,0.333333,1234,\nlonger,2.0,5,x\n"
    assert (tmp_path / "t.md").read_text() == (
        "100 % of it.\n\n"
        "| run    | score |     n | note |\n"
        "| :----- | ----: | ----: | :--- |\n"
        "| a\\|b   |  0.33 | 1,234 | –    |\n"
        "| longer |  2.00 |     5 | x    |\n"
    )
    tex = (tmp_path / "t.tex").read_text()
    assert "\\begin{tabular}{lrrl}" in tex and "\\caption{100 \\% of it.}" in tex
    assert re.search(r"a\\textbar\{\}b & +0\.33 & 1,234 & -- +\\\\\n", tex)
    assert {p.name for p in tmp_path.iterdir()} == {"t.csv", "t.md", "t.tex", "t.manifest.json"}
    assert verify_manifest(tmp_path / "t.manifest.json", "table") == []


def test_blocks_are_environments_of_their_own():
    grids = [
        Grid(["run"], [[Cell("x", bold=True)]], title, block)
        for title, block in (("t1", "A"), ("t2", "A"), ("t3", "B"))
    ]
    tex = latex(grids, "All.", "main")
    assert tex.count("\\begin{table}") == 2 and tex.count("\\begin{tabular}") == 3
    assert tex.count("\\textbf{x}") == 3 and "\\label{tab:main}" in tex and "\\label{tab:main-2}" in tex
    assert re.findall(r"^### (.)$", markdown(grids, "All."), re.M) == ["A", "B"]
