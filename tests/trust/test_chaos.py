"""What the program of kills counts and compares; that a wrong file, a missing aim and a fault are told."""

import io
import json
import random
import subprocess
import sys
from base64 import urlsafe_b64encode

import pandas as pd
import pytest
from PIL import Image

from pnapo.config import load_config
from trust.chaos import (
    ALONE,
    CONFIG,
    FIRST,
    GROUP,
    JOB,
    PAIRS,
    SIGNALS,
    Broken,
    Chaos,
    differences,
    families,
    promises,
    write_pairs,
)
from trust.disturbed import Disturbed
from trust.sources import ROOT

FAMILIES = {"make": "pairs", "count": "tables"}


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
    return Chaos(wild, wild, {FIRST: 0.1}, random.Random(0), kills=4, seconds=60, bound=5)


def test_outputs_are_known_by_script_and_removed_with_what_they_list(wild):
    assert wild.made_by() == {"make": ["results/a/manifest.json"], "count": ["results/b.csv"]}
    assert sorted(wild.hashes()) == ["a/.data.0123456789ab.tmp", "a/data", "a/manifest.json", "b.csv"]
    wild.remove("results/a/manifest.json")
    assert sorted(wild.hashes()) == ["a/.data.0123456789ab.tmp", "b.csv"]


def test_a_difference_a_missing_script_and_a_fault_break_promises(chaos, wild):
    expected = wild.hashes()
    chaos.hit.update({"make": 3, "count": 1})
    chaos.kills.update({(JOB, "SIGKILL"): 2, (ALONE, "SIGTERM"): 1, (GROUP, "SIGINT"): 1})
    assert all(promise.holds for promise in promises(chaos, FAMILIES, "", expected, wild.hashes()))
    (wild.folder / "results" / "b.csv").write_text("other")
    (wild.folder / "results" / "new").write_text("left")
    assert differences(expected, wild.hashes()) == ["b.csv", "new"]
    del chaos.hit["count"]
    chaos.least = 5
    found = promises(chaos, FAMILIES, "", expected, wild.hashes())
    assert not any(promise.holds for promise in found)
    assert "1 of 2 scripts (pairs, tables), not count" in found[1].figure and "b.csv" in found[2].figure
    chaos.least = 4
    assert not promises(chaos, FAMILIES, "it hung", expected, expected)[0].holds
    chaos.kills[JOB, "SIGINT"] = chaos.kills.pop((ALONE, "SIGTERM"))
    (unbalanced, *_) = promises(chaos, FAMILIES, "", expected, expected)
    assert not unbalanced.holds and unbalanced.figure.endswith("too few of Snakemake alone, SIGTERM")
    assert not promises(chaos, {}, "", {}, {})[1].holds and not promises(chaos, {}, "", {}, {})[2].holds


def test_every_script_of_the_rules_has_to_be_hit_but_two_families():
    found = families()
    assert found["train"] == "train" and found["claims_table"] == "claims" and found["encode_dataset"] == "datasets"
    rules = {path.stem for path in (ROOT / "rules").glob("*.smk")}
    assert rules - set(found.values()) == {"fetch", "world", "common", "targets"}


def test_its_configuration_and_data_set_are_valid(tmp_path):
    config = load_config(CONFIG)
    assert config.claims and config.runs["on_mine"].data == "mine"
    write_pairs(tmp_path / "mine.parquet")
    found, mine = pd.read_parquet(tmp_path / "mine.parquet"), config.datasets["mine"]
    assert [*found] == [mine.prompt, *mine.images] and len(found) == PAIRS == mine.count
    assert Image.open(io.BytesIO(found["rejected"][PAIRS - 1])).size == (32, 32)


def test_aims_and_signals_come_equally_often(chaos):
    drawn = [chaos._draw() for _ in range(24)]
    assert {drawn.count(one) for one in drawn} == {2, 4} and {number for _, number in drawn} == set(SIGNALS)


def test_jobs_alone_are_hit_once_snakemake_had_its_share(chaos):
    chaos.kills[ALONE, "SIGINT"] = 2
    assert {aim for aim, _ in (chaos._draw() for _ in range(24))} == {JOB}
    chaos.hit.update(chaos.made_by)
    assert ALONE in {aim for aim, _ in (chaos._draw() for _ in range(24))}


def test_kills_end_at_a_deadline(chaos, wild):
    assert chaos.going()
    chaos.deadline = 0
    with pytest.raises(Broken, match="no time is left after 0 kills; not hit: count, make"):
        chaos.run()
    chaos.kills[JOB, "SIGINT"] = 4
    chaos.hit.update(chaos.made_by)
    assert not chaos.going()


def test_a_snakemake_that_hangs_before_the_job_that_is_to_be_hit_is_told(chaos, wild):
    chaos.bound, chaos._draw = 0.5, lambda: (JOB, SIGNALS[0])

    def start(targets):
        return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)

    wild.again = start
    with pytest.raises(Broken, match="did not end in 0 s while nothing was killed"):
        chaos.run()


@pytest.mark.parametrize(
    ("code", "bound", "message"), [("exit(3)", 300, "start 1 failed"), ("input()", 1, "did not end in 1 s")]
)
def test_a_start_that_fails_by_itself_or_hangs_is_told(chaos, wild, code, bound, message):
    chaos.bound = bound
    chaos.least, chaos.made_by = 0, {}

    def start(targets):
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)

    wild.again = start
    with pytest.raises(Broken, match=message):
        chaos.run()
