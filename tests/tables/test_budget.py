import json

import numpy as np
import pytest

from pnapo.config.schema import Claims, Statistics
from pnapo.tables.budget import budget_table
from pnapo.tables.claims_compute import equal_compute, less_compute
from pnapo.tables.ratio import ratio
from pnapo.tables.snapshots import Curve, Curves

CURVE = Curve(backbones=["sd3"], seeds=[0, 1], steps=[2, 8], pairs=4, sides=2, reference=True, setup=0)
CURVES = Curves(
    testset="heldout",
    metrics=["hps"],
    runs={"pnapo": CURVE, "diffusion_dpo": CURVE.model_copy(update={"setup": 100, "reference": False})},
    statistics=Statistics(bootstrap=100),
)


@pytest.fixture
def scores(put, tmp_path):
    """Gains of pnapo: 1 and 2 (seeds 0 and 1) after 2 steps, 3 after 8; of diffusion_dpo: 0, then 1.5."""
    put("base", {"a": [1, 3], "b": [4]})
    for run, gains in {"pnapo": {2: (1, 2), 8: (3, 3)}, "diffusion_dpo": {2: (0, 0), 8: (1.5, 1.5)}}.items():
        for step, by_seed in gains.items():
            for seed, gain in enumerate(by_seed):
                put(f"{run}-s{seed}-at{step}", {"a": [1 + gain, 3 + gain], "b": [4 + gain]})
    return tmp_path / "scores"


def test_gains_and_costs_by_hand(scores):
    table = budget_table(scores, CURVES).set_index(["run", "step"])
    first, last = table.loc["pnapo", 2], table.loc["pnapo", 8]
    assert (first["gain"], first["between_seed_sd"], last["gain"], last["between_seed_sd"]) == (1.5, 0.5**0.5, 3, 0)
    assert (first["n"], first["pairs_seen"], first["policy_passes"], first["reference_passes"]) == (2, 8, 16, 16)
    other = table.loc["diffusion_dpo", 8]
    assert (other["pairs_seen"], other["policy_passes"], other["reference_passes"]) == (32, 64, 100)


def test_the_script_writes_the_table(scores, script, tmp_path):
    script("budget_table", "--scores", scores, "--config", json.dumps(CURVES.model_dump()), "--out", tmp_path / "b.csv")
    assert "+1.5 ±" in (tmp_path / "b.md").read_text()


def test_the_ratio_of_costs_by_hand():
    cost = np.array([1.0, 4, 16])
    rising = np.array([1, 2, 3])
    assert ratio(np.array([0, 3, 4]), rising, cost, cost) == (
        16 / 4,
        16 / 1,
    )  # their best, 3, at 16; ours between 1 and 4
    assert ratio(np.array([3, 3, 4]), rising, cost, cost) == (16 / 1, np.inf)  # how early, no snapshot tells
    assert ratio(np.array([0, 1, 2]), rising, cost, cost) == (0, 16 / 16)  # not within 16
    assert ratio(np.array([0, 1, 0]), np.array([-1, 0, -2]), cost, cost) == (np.inf, np.inf)
    assert ratio(np.array([0, -1, 0]), np.array([-1, 0, -2]), cost, cost) == (0, np.inf)


def test_less_compute_is_judged_by_the_interval(scores):
    (found,) = less_compute(scores, CURVES, Claims(), "sd3")
    assert found.value == (64 + 100) / (16 + 16)  # their best, 1.5, is reached after 2 steps
    assert (
        found.low == (64 + 100) / (64 + 64) and found.high == np.inf
    )  # with seed 0 alone: after 8; with 1: from the first
    assert found.verdict == "undecided"
    (other,) = less_compute(scores, CURVES, Claims(speedup=1.2), "sd3")
    assert other.verdict == "supported"
    table = budget_table(scores, CURVES).set_index(["run", "step"])
    assert tuple(table.loc["pnapo", 8][["ratio", "ratio_low", "ratio_high"]]) == (found.value, found.low, found.high)
    assert table["ratio"].notna().sum() == 1  # of the others there is none


def test_equal_compute_is_the_last_snapshot_that_costs_both_the_same(scores):
    assert not list(equal_compute(scores, CURVES, Claims(), "sd3"))  # finding noises cost one of them more
    alike = CURVES.model_copy(update={"runs": {"pnapo": CURVE, "diffusion_dpo": CURVE}})
    (found,) = equal_compute(scores, alike, Claims(), "sd3")
    assert (found.value, found.low, found.p, found.favourable) == (1.5, 1.5, 0, True) and "after 8 steps" in found.test
    early = CURVES.model_copy(
        update={"runs": {"pnapo": CURVE.model_copy(update={"steps": [2]}), "diffusion_dpo": CURVE}}
    )
    (found,) = equal_compute(scores, early, Claims(), "sd3")
    assert found.value == 1.5 and found.low < 0 < found.high  # seeds 1 and 2
