import shutil
from itertools import groupby

import pandas as pd
import pytest

from pnapo.artifacts import write_csv, write_text
from pnapo.errors import UserError
from pnapo.report.findings import cost, findings
from pnapo.report.marks import put

PAGE = "# Title\n\n<!-- findings: how -->\nstale\n<!-- end of findings -->\nafter\n"


@pytest.fixture
def results(laboratory, tmp_path):
    shutil.copytree(laboratory / "tables", tmp_path / "results" / "tables")
    return tmp_path / "results"


def rows(text, title):
    """The cells of the first table below a heading."""
    lines = text.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    table = next(list(part) for found, part in groupby(lines, lambda line: line.startswith("|")) if found)
    return [[c.strip() for c in line.strip("|").split("|")] for line in table][2:]


def test_every_claim_and_every_run_is_there(results):
    text = findings(results)
    assert "What training gives: 1 supported, 1 undecided" in text and "Theory: 1 contradicted" in text
    assert [row[1] for row in rows(text, "What holds")] == ["**supported**", "undecided"]
    compared = pd.read_csv(results / "tables" / "comparisons.csv").query("opponent == 'base'")
    assert len(rows(text, "All runs")) == compared["run"].nunique()
    assert [row[0] for row in rows(text, "Where trajectories are more curved")] == ["SD3", "curved"]


def test_bold_where_the_interval_excludes_zero(results):
    path = results / "tables" / "regimes.csv"
    write_csv(path, pd.read_csv(path).assign(advantage=[0.5, 0.5], low=[0.25, -0.25], high=[0.75, 1.25]))
    cells = [row[2] for row in rows(findings(results), "Where trajectories are more curved")]
    assert cells == [r"**+0.50 \[+0.25, +0.75\]**", r"+0.50 \[−0.25, +1.25\]"]


def test_a_choice_at_an_end_is_marked_and_one_between_is_not(results):
    path = results / "tables" / "tuning.csv"
    table = pd.read_csv(path)
    mine = table["run"] == "pnapo"
    middle = sorted(table.loc[mine, "beta"].unique())[1]
    best = mine & (table["beta"] == middle) & (table["step"] == 100)
    best &= table["learning_rate"] == table.loc[mine, "learning_rate"].max()
    write_csv(path, table.assign(chosen=table["chosen"].where(~mine, best)))
    (row,) = [row for row in rows(findings(results), "Tuning") if row[0] == "PNAPO"]
    assert row[1] == f"{middle:g}" and row[2].endswith("(highest)") and row[3] == "100"


def test_cost_adds_up_the_last_line_of_each_log(tmp_path):
    write_text(
        tmp_path / "train" / "sd3" / "a.log",
        "cost: 99.0 s of CPU, 1 MiB at most\ncost: 3600.0 s of CPU, 7 MiB at most\n",
    )
    write_text(tmp_path / "images" / "b.log", "images 3/3\ncost: 1800.0 s of CPU, 7 MiB at most\n")
    write_text(tmp_path / "images" / "c.log", "stopped early\n")
    assert (
        cost(tmp_path)
        == "It took 1.5 CPU-hours in 2 jobs; most of them, with the number of jobs: train 1 (1), images 0.5 (1)."
    )


def test_only_what_is_between_the_marks_changes(tmp_path, results, script):
    page = tmp_path / "findings.md"
    write_text(page, PAGE)
    script("update_findings", "--results", results, "--page", page)
    text = page.read_text()
    assert text.startswith("# Title\n\n<!-- findings: how -->\n## What holds") and "stale" not in text
    assert text.endswith("\n<!-- end of findings -->\nafter\n")
    write_text(page, "no marks")
    with pytest.raises(UserError, match="marks '<!-- findings: '"):
        put(page, "findings", "x")
    assert page.read_text() == "no marks"
