"""Edges of the detectors, on rows; what really causes them is in tests/training/test_watch.py."""

import pytest

from pnapo.config.schema import Watch
from pnapo.watch import Watcher

SETTINGS = {
    "run": {"batch": 16, "accumulation": 1, "schedule": "dynamic", "loss": "dpo"},
    "negative": False,
    "reward_scale": 100.0,
}
WELL = {"loss": 0.6, "implicit_accuracy": 0.6, "margin": 0.1, "e_w": 1.0, "e_l": 1.1, "e_ref_w": 1.0, "e_ref_l": 1.0}
WELL |= {"grad_norm": 1.0, "learning_rate": 1e-4}


def found(rows, settings=SETTINGS, **watch):
    watcher = Watcher(Watch(**{"window": 4, **watch}), settings)
    watcher.follow({"step": step, **WELL, **row} for step, row in enumerate(rows))
    return [(finding.name, finding.step, finding.since) for finding in watcher.findings]


def test_nothing_is_said_of_what_goes_well_or_is_not_logged():
    assert found([{}] * 40) == []
    assert found([dict.fromkeys(("e_l", "e_ref_w", "e_ref_l", "margin", "implicit_accuracy"))] * 40) == []
    assert found([{"grad_norm": 0.0}] * 9 + [{}] * 9) == []  # nothing is so many times nothing


def test_a_single_large_gradient_is_no_explosion():
    assert found([{}] * 9 + [{"grad_norm": 1e6}] + [{}] * 9) == []
    assert found([{}] * 9 + [{"grad_norm": 11.0}] * 2) == [("gradient_explodes", 11, 7)]
    assert found([{}] * 9 + [{"grad_norm": 9.0}] * 2) == []


def test_errors_have_to_grow_on_both_sides_with_a_margin():
    grown = {"e_w": 1.4, "e_l": 1.5}
    assert found([{}] * 4 + [grown] * 4) == [("both_errors_grow", 8, 3)]
    assert found([{}] * 4 + [{**grown, "e_w": 1.2}] * 4) == []
    assert found([{}] * 4 + [{**grown, "margin": -0.1}] * 9) == []


def test_distance_is_told_by_either_error_in_either_direction():
    assert found([{"e_l": 2.2}] * 3) == []  # no window yet
    assert found([{"e_l": 2.3}] * 4) == [("far_from_reference", 4, 0)]  # √2.3 = 1.52
    assert found([{"e_w": 0.2}] * 4) == [("far_from_reference", 4, 0)]


@pytest.mark.parametrize(
    ("then", "expected"),
    [(0.3, [("accuracy_collapses", 16, 11)]), (0.5, [("accuracy_collapses", 16, 11)]), (0.6, []), (0.75, [])],
)
def test_accuracy_below_chance_or_back_at_it(then, expected):
    before, after = [{"implicit_accuracy": 0.9}] * 12, [{"implicit_accuracy": then}] * 4
    assert found(before + after, {**SETTINGS, "run": {**SETTINGS["run"], "batch": 64}}) == expected


def test_chance_is_no_collapse_and_neither_is_a_negative_branch():
    assert found([{"implicit_accuracy": accuracy} for accuracy in (0.5, 0.44, 0.52, 0.5) * 5]) == []
    upside_down = [{"implicit_accuracy": 0.1, "margin": -0.1}] * 8
    assert found(upside_down) == [("accuracy_collapses", 4, 0)]
    assert found(upside_down, {**SETTINGS, "negative": True}) == []


def test_each_kind_is_said_once_and_what_is_not_finite_by_its_name():
    assert [name for name, _, _ in found([{"e_l": 9.0}] * 9)] == ["far_from_reference"]
    assert found([{}, {"grad_norm": float("inf")}]) == [("not_finite", 2, 0)]


@pytest.mark.parametrize("bad", [dict.fromkeys(WELL, float("nan")), {"grad_norm": float("inf")}, {"e_l": float("inf")}])
def test_a_row_that_is_not_finite_is_called_nothing_else(bad):
    """Means of a full window with a NaN or an infinity in it are beyond any threshold, or below none."""
    assert found([{}] * 40 + [bad]) == [("not_finite", 41, 39)]
