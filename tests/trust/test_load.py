"""What the program of load measures: memory of a process's own, not what it maps; that growth and a failed stage are told."""

import mmap
import subprocess
import sys

import pytest

from pnapo.artifacts import read_json
from trust.load import PER_10_000, SPARED, Growth
from trust.load_stages import names, raw_prompts
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
        time.sleep(0.3)
        return kept

    return done


def test_work_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match="log: failed: ZeroDivisionError"):
        watched(lambda: 1 // 0, tmp_path / "log")


def test_growth_beyond_the_bound_is_found():
    small = Cost(1, 100, 150)
    assert Growth(small, Cost(1, 100, 150 + SPARED + 8 * PER_10_000), 80_000).bounded
    found = Growth(small, Cost(1, 120, 171 + SPARED + 8 * PER_10_000), 80_000)
    assert not found.bounded and found.rate == pytest.approx(PER_10_000 + (SPARED + 1) / 8)


def test_raw_prompts_hold_repeats_and_near_duplicates(tmp_path):
    texts = raw_prompts(400)
    assert len(texts) == 400 and 340 < len(set(texts)) < 390
    assert sum(text.endswith(", masterpiece") for text in texts) > 20 and texts == raw_prompts(400)
    assert names(tmp_path, 40, "{}")["selection"] == '{"count": 2}'


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundredth_of_everything(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trust.load", "--small", "--folder", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_json(tmp_path / "load.json")
    assert len(found) == 8 and all(one["holds"] for one in found)
    assert "2,000 latents decoded, of 2,000" in done.stdout and "10 runs fit into one plan" in done.stdout
