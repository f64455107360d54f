"""The laboratory, tiny but real: tuning, curves, claims and report from nothing, twice the same, and what a change reruns."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pnapo.artifacts import read_json
from pnapo.diff.runs import compare
from pnapo.diff.story import is_clock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

HERE = Path(__file__).parent
TABLES = ("main_table", "geneval_table", "compute_table", "curves", "claims_table", "regimes_table", "report")
ONE_RUN = {"train": 4, "choose": 1, "tuning_table": 1, **dict.fromkeys(TABLES, 1)}  # two points, two seeds


@pytest.fixture(scope="module")
def laboratory(new_project):
    """Makes a project in which the laboratory has run to the end."""

    def make():
        project = new_project()
        shutil.copy(HERE / "tiny.yaml", project.folder / "config.yaml")
        shutil.copy(HERE / "laboratory.yaml", project.folder / "lab.yaml")
        done = project.snakemake("--configfile", "lab.yaml")
        assert done.returncode == 0, done.stdout
        return project

    return make


@pytest.fixture(scope="module")
def finished(laboratory):
    """One that tests leave as it was."""
    return laboratory()


def test_every_table_and_the_report_are_made(finished) -> None:
    tables = finished.folder / "results/tables"
    claims = pd.read_csv(tables / "claims.csv")
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided"} and claims["claim"].is_unique
    said = "\n".join(claims["claim"])
    for part in ("straight", "gradient", "divergence", "higher reward", "another prompt's", "compute", "True utility"):
        assert part in said, part
    tried = pd.read_csv(tables / "tuning.csv")
    assert len(tried) == 3 * 2 * 2 and tried.groupby("run")["chosen"].sum().tolist() == [1, 1, 1]
    assert set(pd.read_csv(tables / "budget.csv")["step"]) == {1, 2}
    assert '<section id="claims">' in (finished.folder / "results/report.html").read_text("utf-8")


def test_checkpoints_stop_where_tuning_chose(finished) -> None:
    choice = read_json(finished.folder / "results/tuning/sd3/pnapo.json")
    for seed in (0, 1):
        settings = read_json(finished.folder / f"results/runs/sd3/pnapo-s{seed}/settings.json")
        assert settings["stop"] == choice["step"] and settings["run"]["beta"] == choice["beta"]
    best = max(choice["tried"], key=lambda point: point["score"])
    assert choice["score"] == best["score"] and {"beta", "learning_rate", "step"} < choice.keys()


def test_two_runs_agree_byte_for_byte(finished, laboratory) -> None:
    other = laboratory()
    made = [path for path in (finished.folder / "results").rglob("*") if path.is_file()]
    compared = [p for p in made if not is_clock(p.relative_to(finished.folder / "results").as_posix())]
    assert len(compared) > 300
    for path in compared:
        twin = other.folder / path.relative_to(finished.folder)
        assert path.read_bytes() == twin.read_bytes(), path
    assert compare(finished.folder / "results", other.folder / "results").first is None


JUDGED = {"claims_table": 1, "regimes_table": 1, "report": 1}
CURVES = {"score_images": 2 * 2 * 2, "budget_table": 1, **JUDGED}  # two runs, seeds and steps


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("claims={margin: 0.1}", JUDGED),
        ("budget={metrics: [hps, utility]}", CURVES),
        ("runs={pnapo_shuffled: {beta: 301}}", {**ONE_RUN, "generate_images": 8, "score_images": 10}),
    ],
)
def test_a_change_reruns_what_it_touches(finished, change, jobs) -> None:
    assert finished.plan("--configfile", "lab.yaml", "--config", change) == jobs
