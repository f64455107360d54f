"""Finished parts: kept through a kill, never trusted if they do not fit, never in the way of another process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pnapo.artifacts import parts as module
from pnapo.artifacts.parts import Parts, fingerprint, parts_of

KEY = fingerprint("here", module.__file__)


def made_of(rows):
    return {"value": torch.arange(rows.start, rows.stop), "none": torch.empty(0, 3)}


@pytest.fixture
def kept(tmp_path):
    """A folder with the three parts of ten rows in batches of four."""
    parts = Parts(tmp_path / "work", KEY, print)
    for rows in parts.ranges(10, 4):
        parts.keep(rows, made_of(rows))
    return tmp_path / "work"


def again(folder, key=KEY):
    """Takes all parts once more; returns the rows that had to be made, and what was logged."""
    lines = []
    parts = Parts(folder, key, lines.append)
    for rows, part in parts.each(10, 4, made_of, "rows"):
        assert part["value"].tolist() == list(rows) and part["none"].shape == (0, 3)
    return parts.made, [line for line in lines if not line.startswith("rows ")]


def test_parts_are_whole_batches_and_not_too_many():
    assert list(Parts.ranges(10, 4)) == [range(0, 4), range(4, 8), range(8, 10)] and not list(Parts.ranges(0, 4))
    for count, batch, largest in ((5000, 16, 32), (10**6, 16, 128)):
        parts = list(Parts.ranges(count, batch))
        assert [row for part in parts for row in part] == list(range(count))
        assert {part.start % batch for part in parts} == {0} and max(map(len, parts)) == largest


def test_kept_parts_are_not_made_again(kept):
    assert again(kept) == (0, [])
    (kept / "00000004-00000008.part").unlink()
    made, lines = again(kept)
    assert made == 4 and not lines


@pytest.mark.parametrize("place", [0, 31, 32, 40, 80, -1])
def test_a_flipped_bit_anywhere_is_found(kept, place):
    file = kept / "00000000-00000004.part"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    made, lines = again(kept)
    assert made == 4 and len(lines) == 1 and "damaged" in lines[0] and str(kept) in lines[0]
    assert again(kept) == (0, [])


def test_truncated_empty_swapped_and_foreign_parts_are_made_again(kept):
    first, second, third = sorted(kept.glob("*.part"))
    content = first.read_bytes()
    for damaged in (content[:-1], b"", content[:10], content + b"\0"):
        first.write_bytes(damaged)
        assert again(kept)[0] == 4
    first.write_bytes(second.read_bytes())
    assert again(kept)[0] == 4
    third.unlink()
    third.mkdir()
    assert Parts(kept, KEY).read(range(8, 10)) is None
    third.rmdir()
    assert again(kept, fingerprint("elsewhere", module.__file__))[0] == 10


def test_the_fingerprint_changes_with_inputs_sources_and_packages(tmp_path, monkeypatch):
    assert fingerprint({"b": 1, "a": [2]}, module.__file__) == fingerprint({"a": [2], "b": 1}, module.__file__)
    found = {KEY, fingerprint("there", module.__file__), fingerprint("here", module.versions.__code__.co_filename)}
    monkeypatch.setattr(module, "versions", lambda: {"torch": "0"})
    assert len(found | {fingerprint("here", module.__file__)}) == 4
    monkeypatch.undo()
    monkeypatch.setattr(module, "sha256", lambda path: "edited" if path.name == "workspace.py" else "same")
    edited = fingerprint("here", module.__file__)
    monkeypatch.setattr(module, "sha256", lambda path: "same")
    assert edited != fingerprint("here", module.__file__)


def test_two_jobs_of_one_artefact_do_not_meet(tmp_path):
    out = tmp_path / "out" / "manifest.json"
    with parts_of(out, "x", module.__file__) as one:
        one.keep(range(4), made_of(range(4)))
        with parts_of(out, "x", module.__file__) as other:
            assert other.read(range(4)) is None
            other.keep(range(4), made_of(range(4)))
        assert one.read(range(4)) is not None
    assert not list(out.parent.iterdir())


KILLED = """
import os, signal, sys, torch
from pnapo.artifacts.parts import parts_of
def make(rows):
    if rows.start == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": torch.arange(rows.start, rows.stop)}
with parts_of(sys.argv[1], "x", sys.argv[2]) as parts:
    for rows, part in parts.each(12, 4, make, "rows"):
        pass
"""


def test_after_kill_9_the_parts_are_there_and_what_was_private_goes(tmp_path):
    out = tmp_path / "manifest.json"
    private = tmp_path / ".manifest.work-abc"
    private.mkdir()
    (private / "lock").touch()
    command = [sys.executable, "-c", KILLED, str(out), module.__file__]
    root = str(Path(module.__file__).parents[2])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": root})
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / ".manifest.work").iterdir()) == [
        "00000000-00000004.part",
        "00000004-00000008.part",
        "lock",
    ]
    with parts_of(out, "x", module.__file__, lambda line: None) as parts:
        assert [rows for rows, _ in parts.each(12, 4, made_of, "rows")] == list(parts.ranges(12, 4))
    assert parts.made == 4 and not list(tmp_path.iterdir())
