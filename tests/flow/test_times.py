import math
from typing import get_args

import numpy as np
import pytest

from pnapo.config.schema import Run
from pnapo.flow.times import TIMES, time_at


def test_every_configurable_distribution_exists():
    assert set(TIMES) == set(get_args(Run.model_fields["time_sampling"].annotation))


def test_logit_normal_is_the_sigmoid_of_a_normal_quantile():
    one_sigma = 0.8413447460685429  # Φ(1)
    assert time_at(one_sigma, "logit_normal") == pytest.approx(1 / (1 + math.exp(-1)))
    assert time_at(0.5, "logit_normal") == pytest.approx(0.5)
    assert time_at(0.3, "uniform") == 0.3


@pytest.mark.parametrize("sampling", sorted(TIMES))
def test_times_increase_with_the_quantile_and_stay_inside_the_open_interval(sampling):
    times = [time_at(q, sampling) for q in (0.0, 1e-9, 0.1, 0.5, 0.9, 1 - 2**-53)]
    assert times == sorted(times) and times[2] < times[3] < times[4]
    assert all(0 < np.float32(t) < 1 for t in times)
