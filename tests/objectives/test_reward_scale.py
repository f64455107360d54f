import math

import pytest

from pnapo.errors import UserError
from pnapo.objectives.reward_scale import resolve_reward_scale


def test_numbers_and_raw():
    assert resolve_reward_scale(100.0, [0.01]) == 100.0
    assert resolve_reward_scale("raw", [0.01]) == 1.0


def test_auto_makes_the_median_factor_one_half():
    scale = resolve_reward_scale("auto", [0.01, 0.04, 0.02])
    assert math.tanh(scale * 0.02 / 2) == pytest.approx(0.5)
    assert resolve_reward_scale("auto", [0.01, 0.03]) == pytest.approx(math.log(3) / 0.02)


def test_auto_without_a_gap_is_refused():
    with pytest.raises(UserError, match="reward_scale"):
        resolve_reward_scale("auto", [0.0, 0.0, 1.0])
