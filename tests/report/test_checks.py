import numpy as np
import pandas as pd
import pytest

from pnapo.report.checks import trade_offs, training


def log(**changes):
    n = np.arange(50)
    wiggle = np.where(n % 2, 1e-4, -1e-4)
    healthy = {"step": n + 1, "loss": 0.6, "implicit_accuracy": 0.7, "grad_norm": 0.2, "e_ref_w": 0.2, "e_ref_l": 0.2}
    return pd.DataFrame(healthy | {"e_w": 0.2 - 1e-3 * n + wiggle, "e_l": 0.2 + 1e-3 * n + wiggle} | changes)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"e_w": 0.2 + 1e-4 * np.arange(50)}, ["errors"]),
        ({"implicit_accuracy": np.r_[np.full(40, 0.9), np.full(10, 0.4)]}, ["accuracy"]),
        ({"grad_norm": 1.5}, ["gradient"]),
        ({"loss": np.r_[np.full(49, 0.6), np.nan]}, ["loss"]),
    ],
)
def test_training_logs(changes, kinds):
    assert [kind for kind, _ in training(log(**changes), max_grad_norm=1.0)] == kinds


def test_sft_logs_need_no_reference():
    sft = log().assign(e_l=np.nan, e_ref_w=np.nan, e_ref_l=np.nan, implicit_accuracy=np.nan)
    assert list(training(sft, 1.0)) == []


def test_reward_up_and_utility_down():
    columns = ["testset", "metric", "gain", "gain_low", "gain_high"]
    rows = [["t", "hps", 0.5, 0.2, 0.8], ["t", "utility", -0.1, -0.2, -0.05], ["t", "clip", -0.1, -0.3, 0.1]]
    ((testset, text),) = trade_offs(pd.DataFrame(rows, columns=columns), "hps")
    assert testset == "t" and "True utility fell by 0.1 [0.05, 0.2]" in text and "CLIP" not in text
    rows[0][3] = -0.01  # the reward's own interval includes 0
    assert not list(trade_offs(pd.DataFrame(rows, columns=columns), "hps"))
