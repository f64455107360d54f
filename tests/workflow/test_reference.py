"""Which jobs the reference's errors take: one for each whole visit and seed, shared by all that only trains differently."""

import re

import pytest

STORED, INDEPENDENT = "stored-uniform-s0", "independent-uniform-s0"


def visits(project, *config: str) -> list[str]:
    """The files of reference errors that a plan makes, by path, distribution of t, training seed and number."""
    change = ("--config", *config) if config else ()
    done = project.snakemake("--dry-run", *change, "--", "train_all")
    assert done.returncode == 0, done.stdout
    jobs = re.findall(r"the errors of sd3 itself on the (\w+) path, (\w+), seed (\d+), visit (\d+)", done.stdout)
    return sorted(f"{path}-{times}-s{seed}/visit-{visit}" for path, times, seed, visit in jobs)


def files(folder: str, count: int) -> list[str]:
    return [f"{folder}/visit-{visit:04d}" for visit in range(count)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((), files(INDEPENDENT, 6) + files(STORED, 6)),
        # what only trains differently shares them
        (
            ("runs={pnapo: {beta: 1, loss: dpo, schedule: anneal, learning_rate: 1, lora_rank: 3}}",),
            files(INDEPENDENT, 6) + files(STORED, 6),
        ),
        # another training seed has draws of its own
        (
            ("runs={pnapo: {seeds: [0, 1]}}",),
            files(INDEPENDENT, 6) + files(STORED, 6) + files("stored-uniform-s1", 6),
        ),
        # longer runs ask for more visits of the same files
        (("runs={more: {reward: clip, adapter: full, steps: 240}}",), files(INDEPENDENT, 6) + files(STORED, 8)),
        # a partial visit is left to the run; a run that needs no reference, or computes it itself, asks for none
        (("runs={pnapo: {steps: 59}}",), files(INDEPENDENT, 6) + files(STORED, 1)),
        (("runs={pnapo: {steps: 29}}",), files(INDEPENDENT, 6)),
        (("runs={pnapo: {loss: sft}}",), files(INDEPENDENT, 6)),
        (("runs={pnapo: {reference: compute}}",), files(INDEPENDENT, 6)),
        (("runs={pnapo: {time_sampling: logit_normal}}",), files(INDEPENDENT, 6) + files("stored-logit_normal-s0", 6)),
    ],
)
def test_a_plan_makes_each_whole_visit_once(pristine, change, expected) -> None:
    assert visits(pristine, *change) == expected
