"""What the program of kills counts and compares; that a wrong file, a missing aim and a fault are told."""

import json
import random
import subprocess
import sys
from base64 import urlsafe_b64encode

import pytest

from trust.chaos import FIRST, SIGNALS, Broken, Chaos, differences, promises
from trust.disturbed import Disturbed


@pytest.fixture
def wild(tmp_path):
    """A project in which two scripts have made something; its command is whatever a test says."""
    made = object.__new__(Disturbed)
    made.folder = tmp_path
    (tmp_path / "screen.txt").write_text("what it said")
    for output, script in (("results/a/manifest.json", "make"), ("results/b.csv", "count")):
        record = {"shellcmd": f"python workflow_scripts/{script}.py --out {output}"}
        file = tmp_path / ".snakemake" / "metadata" / urlsafe_b64encode(output.encode()).decode()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
    (tmp_path / "results" / "a").mkdir(parents=True)
    (tmp_path / "results" / "a" / "manifest.json").write_text('{"files": {"data": {}, "../b.csv": {}}}')
    for name in ("a/data", "a/cost.json", "a/.data.0123456789ab.tmp", "b.csv"):
        (tmp_path / "results" / name).write_text(name)
    return made


@pytest.fixture
def chaos(wild):
    return Chaos(wild, wild, {FIRST: 0.1}, 5, random.Random(0))


def test_outputs_are_known_by_script_and_removed_with_what_they_list(wild):
    assert wild.made_by() == {"make": ["results/a/manifest.json"], "count": ["results/b.csv"]}
    assert sorted(wild.hashes()) == ["a/.data.0123456789ab.tmp", "a/data", "a/manifest.json", "b.csv"]
    wild.remove("results/a/manifest.json")
    assert sorted(wild.hashes()) == ["a/.data.0123456789ab.tmp", "b.csv"]


def test_a_difference_a_missing_script_and_a_fault_break_promises(chaos, wild):
    expected = wild.hashes()
    chaos.hit.update({"make": 3, "count": 1})
    chaos.kills["a job", "SIGKILL"] = 4
    assert all(promise.holds for promise in promises(chaos, 4, "", expected, wild.hashes()))
    (wild.folder / "results" / "b.csv").write_text("other")
    (wild.folder / "results" / "new").write_text("left")
    assert differences(expected, wild.hashes()) == ["b.csv", "new"]
    del chaos.hit["count"]
    found = promises(chaos, 5, "", expected, wild.hashes())
    assert not any(promise.holds for promise in found)
    assert "not count" in found[1].figure and "b.csv" in found[2].figure
    assert not promises(chaos, 1, "it hung", expected, expected)[0].holds
    assert not promises(chaos, 1, "", {}, {})[2].holds


def test_aims_and_signals_come_equally_often(chaos):
    drawn = [chaos._draw() for _ in range(24)]
    assert {drawn.count(one) for one in drawn} == {2, 4} and {number for _, number in drawn} == set(SIGNALS)


@pytest.mark.parametrize(("code", "message"), [("exit(3)", "start 1 failed"), ("input()", "did not end in 1 s")])
def test_a_start_that_fails_by_itself_or_hangs_is_told(chaos, wild, code, message):
    chaos.bound = 1
    chaos.missing = lambda: []

    def start(targets):
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)

    wild.again = start
    with pytest.raises(Broken, match=message):
        chaos.run(0)
