"""What the program of determinism compares: where two runs part, its configurations, and that nothing passes unseen."""

import subprocess
import sys

import pytest
import yaml

from pnapo.config import load_config
from trust.determinism import LABORATORY, configuration, interrupted, parted
from trust.project import Project


@pytest.fixture
def project(tmp_path):
    """A project whose Snakemake is whatever a test says."""
    made = object.__new__(Project)
    made.folder = tmp_path
    (tmp_path / "screen.txt").touch()
    return made


def test_the_first_file_in_the_order_of_the_story_is_named():
    ours = {"tables/main.csv": "1", "pairs/sd3/manifest.json": "2", "prompts/all.parquet": "3"}
    assert parted(ours, dict(ours)) == ""
    assert parted(ours, ours | {"tables/main.csv": "9", "pairs/sd3/manifest.json": "8"}).startswith(
        "pairs/sd3/manifest"
    )
    assert parted(ours, ours | {"scores/x": "1"}) == "scores/x is in one of them alone"


def test_results_are_hashed_but_for_clocks(project):
    for name in ("tables/main.csv", "runs/sd3/a-s0/compute.json", "logs/a.log", "tables/.left.tmp"):
        path = project.folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert sorted(project.hashes()) == ["tables/.left.tmp", "tables/main.csv"]


@pytest.mark.parametrize("small", [False, True])
def test_its_configurations_are_valid(tmp_path, small):
    path = configuration(tmp_path, small)
    assert load_config(path).name == "complete"
    assert set(LABORATORY) & yaml.safe_load(path.read_text()).keys() == (set() if small else set(LABORATORY))


def test_a_run_that_ends_before_it_is_interrupted_is_told(project, monkeypatch):
    def start(code):
        return lambda *_, **__: subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    monkeypatch.setattr(project, "start", start("pass"))
    with pytest.raises(RuntimeError, match="was not interrupted"):
        interrupted(project, after=0.5)
    (project.folder / "screen.txt").write_text("3 of 6 steps (50%) done")
    monkeypatch.setattr(project, "start", start("input()"))
    with pytest.raises(RuntimeError, match="the workflow failed"):  # interrupted, and the second start fails too
        interrupted(project, after=0.5)
