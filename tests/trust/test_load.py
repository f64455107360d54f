"""What the program of load measures: memory of a process's own, not what it maps; that growth and a failed stage are told."""

import mmap
import subprocess
import sys

import pytest

from pnapo.artifacts import read_json
from trust.load import PER_10_000, SPARED, flat
from trust.load_stages import STAGES, names, raw_prompts
from trust.watched import Cost, watched

MIB = 2**20


def test_memory_of_its_own_is_seen_and_mapped_files_are_not(tmp_path):
    (tmp_path / "file").write_bytes(bytes(96 * MIB))

    def held():
        return b"x" * (96 * MIB)

    def mapped():
        with open(tmp_path / "file", "rb") as handle:
            pages = mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ)
        return pages, sum(pages[place] for place in range(0, len(pages), 4096))

    assert watched(slowly(held), tmp_path / "log").grown > 90
    cost = watched(slowly(mapped), tmp_path / "log")
    assert cost.grown < 10 and cost.mapped > 90


def slowly(work):
    import time

    def done():
        kept = work()
        time.sleep(2)
        return kept

    return done


def test_work_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match="log: failed: ZeroDivisionError"):
        watched(lambda: 1 // 0, tmp_path / "log")


def test_growth_beyond_the_bound_is_found():
    even, small = (Cost(1, 100, 150), Cost(1, 100, 150)), Cost(1, 100, 150, 7)
    most = 150 + SPARED + 8 * PER_10_000
    kept = flat(
        "flat", {"read_source --out x": even, "train": (small, Cost(1, 100, most, 9))}, "100,000 pairs", 100_000
    )
    assert kept.holds and "(`train`), peak 334 MiB, and 9 of mapped files" in kept.figure
    broken = flat("flat", {"read_source --out x": (small, Cost(1, 120, most + 21)), "train": even}, "", 100_000)
    assert broken.holds is False and "at most 23.1 MiB for 10,000 more (`read_source`)" in broken.figure


def test_raw_prompts_hold_repeats_and_near_duplicates(tmp_path):
    texts = raw_prompts(400)
    assert len(texts) == 400 and 340 < len(set(texts)) < 390
    assert sum(text.endswith(", masterpiece") for text in texts) > 20 and texts == raw_prompts(400)
    assert names(tmp_path, 40, "{}")["selection"] == '{"count": 2}'


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundredth_of_everything(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trust.load", "--small", "--folder", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_json(tmp_path / "load.json")
    assert len(found) == 3 and all(one["holds"] for one in found) and "growth of memory: not judged" in done.stdout
    assert "2,000 latents decoded, of 2,000" in done.stdout and "10 runs fit into one plan" in done.stdout
    for line in (line for lines in STAGES.values() for line in lines):
        assert all(f"{count} prompts, {line.split()[0]}: " in done.stdout for count in ("200", "1,000"))
    assert all(
        f"{count} pairs, {name}: " in done.stdout for count in (40, 200) for name in ("cache_reference", "train")
    )
