"""What the program of trainings counts as an end that lost nothing, and as a warning that arrived; on a toy."""

import json
import os
import random
import signal
import sys

import pytest

from pnapo.artifacts import write_json
from trust.training import EVERY, WELL, end, ended, reported

# Counts to 300, slowly once past all steps at which it is to be ended; a state every 20 steps and at SIGTERM. `forgets`: begins
# again after SIGKILL, or drops a step after SIGTERM.
TOY = """
import pathlib, signal, sys, time
work, forgets = pathlib.Path(sys.argv[1]), sys.argv[2]
work.mkdir(parents=True, exist_ok=True)
log, state, asked = work / "train_log.jsonl", work / "state", []
start = int(state.read_text()) if state.exists() else 0
lines = log.read_text().splitlines()[:start] if log.exists() else []
if start:
    print("resuming at step", start, flush=True)
log.write_text("".join(f"{line}\\n" for line in lines))
def keep(step):
    state.with_name("new").write_text(str(step))
    state.with_name("new").replace(state)
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with open(log, "a", buffering=1) as out:
    for step in range(start, 300):
        time.sleep(0.0005 if step < 250 else 0.02)
        out.write(f"{step} {start if forgets == 'all' else ''}\\n")
        if asked:
            keep(step + (forgets != "SIGTERM"))
            print(f"error: ended by SIGTERM after step {step + 1} of 300", flush=True)
            sys.exit(143)
        if (step + 1) % 20 == 0 and forgets != "SIGKILL":
            keep(step + 1)
"""


class Toy:
    def __init__(self, folder, forgets):
        self.folder, self.forgets = folder, forgets

    def start(self, name, run):
        assert run["checkpoint_every"] == EVERY and run["steps"] == 300
        work, said = self.folder / "runs" / name / ".run.work", self.folder / f"{name}.log"
        out = (os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        command = [sys.executable, "-c", TOY, str(work), self.forgets]
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=[out])

    def train(self, name, run):
        os.waitpid(self.start(name, run), 0)
        return 0, (self.folder / f"{name}.log").read_text()

    def bytes(self, name):
        return (self.folder / "runs" / name / ".run.work" / "train_log.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("forgets", "problem"),
    [("", ""), ("SIGKILL", "went on from"), ("SIGTERM", "went on from"), ("all", "not the bytes")],
)
def test_trainings_that_are_ended_go_on_from_their_state(tmp_path, capsys, forgets, problem):
    found = ended(Toy(tmp_path, forgets), 4, random.Random(0))
    assert found.holds == (not problem), capsys.readouterr().out
    assert found.figure.count("SIGKILL") == found.figure.count("SIGTERM") == 2
    assert problem in capsys.readouterr().out


def test_an_end_waits_for_a_step_of_this_start(tmp_path):
    toy, run = Toy(tmp_path, ""), {"checkpoint_every": EVERY, "steps": 300}
    first, problem = end(toy, "a", run, signal.SIGTERM, 60)
    assert first >= 60 and not problem
    second, problem = end(toy, "a", run, signal.SIGTERM, 5)
    assert second > first and not problem
    assert "status 0" in end(toy, "a", run, signal.SIGTERM, 1000)[1]


def test_the_report_says_what_a_training_said(tmp_path):
    place, toy = tmp_path / "runs" / "far" / "run", Toy(tmp_path, "")
    finding = {"name": "far_from_reference", "step": 30, "text": "it is far"}
    write_json(place / "warnings.json", {"warnings": [finding], "stopped": None})
    (place / "train_log.jsonl").write_text("".join(json.dumps({"step": n, "grad_norm": 0.1}) + "\n" for n in range(60)))
    assert reported(toy, "far", WELL) == [("far_from_reference", 0, "step 30: it is far")]
