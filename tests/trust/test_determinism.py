"""What the program of determinism compares: where two runs part, its configurations, and that nothing passes unseen."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pnapo.artifacts import write_record
from pnapo.config import load_config
from trust import determinism
from trust.determinism import (
    LABELS,
    LABORATORY,
    configuration,
    greys,
    interrupted,
    parted,
    plain,
    scored_at_once,
    served,
    trained_by,
    tried,
)
from trust.project import Project
from trust.promise import Promise


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
    (project.folder / "results" / "tables" / "gone").symlink_to("nowhere")  # as a file that goes while it is looked at
    assert sorted(project.hashes()) == ["tables/.left.tmp", "tables/main.csv"]


def test_a_step_that_fails_breaks_its_promise_and_leaves_the_others():
    def step(number):
        """What it tries."""
        if number:
            raise RuntimeError("the workflow failed\nat length")
        return Promise("a", "b", True)

    assert tried(step, 0) == [Promise("a", "b", True)]
    assert tried(step, 1) == [Promise("What it tries.", "the workflow failed", False)]


def test_grey_levels_apart():
    ours = np.array([[0, 255, 7, 9]], np.uint8)
    assert greys(ours, ours) == (0, 0) and greys(ours, np.array([[255, 255, 8, 9]], np.uint8)) == (0.5, 255)


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


FILES = ["prompts/all", "embeddings/sd3", "pairs/sd3/samples/0", "pairs/sd3/images/0", LABELS]
FILES += ["reference/sd3/visit", "runs/sd3/a-s0/manifest.json"]


@pytest.mark.parametrize(
    ("files", "warm", "cold", "figure"),
    [
        (FILES, 9, 0, ""),
        (FILES, 0, 0, "jobs of 0 s of CPU served warm"),
        (FILES, 9, 3, "then of 3 s"),
        (FILES[1:], 9, 0, "none of prompts/"),
        ([*FILES, "prompts/other"], 9, 0, "prompts/other differs"),
    ],
)
def test_plain_processes_are_compared_with_warm_ones(project, monkeypatch, files, warm, cold, figure):
    class Made:
        def __init__(self, folder, config):
            assert config == project.folder / "config.yaml"

        def run(self, *arguments, PNAPO_WARM, **changed):
            assert PNAPO_WARM == "0"

        def hashes(self):
            return dict.fromkeys(files, "1")

    monkeypatch.setattr(project, "hashes", lambda: dict.fromkeys([*FILES, "tables/main.csv"], "1"))
    monkeypatch.setattr(determinism, "Project", Made)
    monkeypatch.setattr(determinism, "served", lambda made: cold)
    found = plain(project, Path(), warm)
    assert found.holds == (not figure) and figure in found.figure


def test_what_a_warm_process_served_is_seen(project):
    server = project.folder / "pnapo" / "warm" / "server.py"
    server.parent.mkdir(parents=True)
    server.write_text(
        "import os, time\nif not os.fork():\n    while time.process_time() < 0.2: pass\n    os._exit(0)\n"
    )
    with open(server, "a") as code:
        code.write("os.wait()\nprint(flush=True)\ninput()\n")
    assert served(project) == 0
    with subprocess.Popen([sys.executable, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        assert served(project) >= 0.1
        running.stdin.close()


def test_what_was_varied_is_read_in_what_was_recorded(project):
    log = project.folder / "results" / "logs" / "train" / "sd3" / "pnapo_both-s0.log"
    log.parent.mkdir(parents=True)
    log.write_text("a\nresuming\n")
    assert trained_by(project) == 1 and scored_at_once(project) is None
    log.write_text("a\n2 processes, each making 2 of a step's 4 forward passes\n")
    assert trained_by(project) == 2
    old, new = ({"endtime": end, "params": [repr(f'{{"batch": {size}}}')]} for end, size in ((1, 64), (2, 7)))
    outputs = {f"results/{LABELS}": {"a": new, "b": old}, "results/prompts/all.parquet": {"a": old}}
    write_record(project.folder / "results" / "provenance.json", {"outputs": outputs})
    assert scored_at_once(project) == 7
