import math

import pytest
import torch

from pnapo.flow.inversion import invert


def test_a_straight_flow_is_inverted_exactly_whatever_the_grid():
    x0, xT = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]])
    for grid in ([0.0, 1.0], [0.0, 0.25, 0.5, 1.0]):
        assert torch.equal(invert(lambda x, t: xT - x0, x0, grid), xT)


def test_a_bent_flow_by_hand():
    # v = x: Euler makes (1 + h)² of it, with the mean of both ends of each step (1 + h + h²/2)²
    x0, grid = torch.ones(1, 1), [0.0, 0.5, 1.0]
    assert invert(lambda x, t: x, x0, grid).item() == pytest.approx(1.5**2)
    assert invert(lambda x, t: x, x0, grid, renoise=True).item() == pytest.approx((1 + 0.5 + 0.125) ** 2)


def test_finer_grids_come_closer_and_renoise_closer_still():
    def error(steps, renoise):
        grid = [i / steps for i in range(steps + 1)]
        return abs(invert(lambda x, t: x, torch.ones(1, 1, dtype=torch.float64), grid, renoise).item() - math.e)

    assert error(40, False) < error(10, False) / 3
    assert error(10, True) < error(40, False)


def test_velocities_are_asked_for_at_the_clean_end_of_each_step():
    seen = []
    invert(lambda x, t: seen.append(t) or x, torch.ones(1), [0.0, 0.3, 1.0])
    assert seen == [0.0, 0.3]
