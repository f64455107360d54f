import math

import pytest
import torch

from pnapo.objectives.schedules import SCHEDULES, anneal, constant, dynamic, reward_gap


def test_the_factor_f_matches_the_published_scale_table():
    """methods.md A13: gaps of HPSv2.1 × 100 and the factor they get."""
    gaps = torch.tensor([0.5, 1.0, 2.0, 3.0, 5.0])
    f = reward_gap(gaps, 0.0, 0.2, 0.8)
    assert f.tolist() == pytest.approx([0.245, 0.462, 0.762, 0.905, 0.987], abs=5e-4)
    assert torch.allclose(f, 2 * torch.sigmoid(gaps) - 1)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0.0, 1.0), (0.2, 1.0), (0.35, 0.5 + 0.25 * (1 + math.sqrt(0.5))), (0.5, 0.75), (0.8, 0.5), (1.0, 0.5)],
)
def test_the_factor_g_falls_from_1_to_a_half_by_a_half_cosine(n, expected):
    assert anneal(torch.ones(2), n, 0.2, 0.8).tolist() == pytest.approx([expected] * 2)


def test_g_without_a_slope_is_a_jump():
    assert [anneal(torch.ones(1), n, 0.5, 0.5).item() for n in (0.49, 0.5, 0.51)] == [1.0, 1.0, 0.5]


def test_the_dynamic_factor_is_the_product():
    gap = torch.tensor([0.0, 1.0, 4.0])
    assert dynamic(gap, 0.5, 0.2, 0.8).tolist() == pytest.approx([0.0, 0.75 * math.tanh(0.5), 0.75 * math.tanh(2)])
    assert constant(gap, 0.9, 0.2, 0.8).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_factors_stay_between_0_and_1(name):
    factors = [SCHEDULES[name](torch.linspace(0, 30, 31), n / 10, 0.1, 0.6) for n in range(11)]
    assert all(((f >= 0) & (f <= 1)).all() for f in factors)
