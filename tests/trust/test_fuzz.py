"""What the program of fuzzing is guided by, and that nothing it meets is lost."""

import subprocess
import sys

import pytest

from trust import fuzz, promise, run
from trust.targets import TARGETS


def test_nothing_of_ours_is_imported_before_the_fuzzer_watches():
    code = "import sys, trust.fuzzer; sys.exit(any(name.partition('.')[0] == 'pnapo' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_target_has_a_name():
    assert fuzz.NAMES.keys() == TARGETS.keys()


def test_a_fuzzer_that_dies_is_a_finding(tmp_path, monkeypatch):
    command = [sys.executable, "-c", "print('one'); print('two'); raise SystemExit(3)"]
    monkeypatch.setattr(fuzz, "fuzzer", lambda *_: command)
    tried, (line,) = fuzz.run("config", 60, 0, tmp_path)
    assert tried == 0 and line.startswith("config: the fuzzer ended with 3: two: ")
    assert (tmp_path / "found" / "fuzzer.log").read_text() == "one\ntwo\n"


def test_a_fuzzer_that_does_not_end_is_a_finding(tmp_path, monkeypatch):
    def hangs(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout, b"stat::number_of_executed_units: 7\n")

    monkeypatch.setattr(subprocess, "run", hangs)
    tried, (line,) = fuzz.run("config", 60, 0, tmp_path)
    kept = tmp_path / "found" / "fuzzer.log"
    assert (tried, line) == (0, f"config: the fuzzer itself does not end: {kept}")
    assert kept.read_bytes().endswith(b"units: 7\n")


def test_what_it_finds_is_tried_alone(tmp_path):
    (tmp_path / "crash-1").write_bytes(b"runs: {pnapo: {beta: 1}}")
    assert fuzz.confirmed("config", tmp_path / "crash-1", tmp_path) == ""
    assert "KeyError: 'no_target'" in fuzz.confirmed("no_target", tmp_path / "crash-1", tmp_path)


# Seed after seed: a crash, an input that was stuck and one that was slow, of which none repeats alone; then it dies.
AMONG_OTHERS = """
import sys
name, folder, option, value = sys.argv[1:5]
if option == "--until":
    found = ["crash-one", "timeout-one", "crash-two", ""][int(sys.argv[6])]
    if not found:
        sys.exit("no more")
    open(f"{folder}/{found}", "w").write("an input")
    sys.exit({"crash-two": "takes more than 5 s"}.get(found, f"the state that the inputs before left: {found}"))
"""


def test_what_fails_only_among_others_is_a_finding_and_what_was_only_slow_is_none(tmp_path, monkeypatch):
    (tmp_path / "fuzzer.py").write_text(AMONG_OTHERS)
    monkeypatch.setattr(
        fuzz, "fuzzer", lambda *given: [sys.executable, "-S", str(tmp_path / "fuzzer.py"), *map(str, given)]
    )
    _, (among, died) = fuzz.run("config", 60, 0, tmp_path / "config")
    kept = tmp_path / "config" / "found"
    told = "config: crash-one fails after the inputs before it, though not alone"
    assert among == f"{told}: {kept / 'crash-one'}" and "the fuzzer ended with 1: no more" in died
    names = {path.name for path in kept.iterdir()}
    assert names == {"crash-one", "crash-one.log", "timeout-one", "crash-two", "fuzzer.log"}
    assert (kept / "crash-one").read_text() == "an input"
    assert (kept / "crash-one.log").read_text() == "the state that the inputs before left: crash-one\n"


def test_without_the_fuzzer_nothing_is_proven(tmp_path, monkeypatch):
    (tmp_path / "atheris.py").write_text("raise ImportError('made for another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["trust.fuzz", "--folder", str(tmp_path / "made")])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        fuzz.main()
    rows = run.rows("fuzz", tmp_path / promise.RESULTS)
    assert len(rows) == len(TARGETS) and {row[-1] for row in rows} == {"not run"}
    assert "made for another Python" in rows[0][2] and not (tmp_path / "made").exists()
