import math

import numpy as np
import pytest

from pnapo.lab.gradients import signal_to_noise


def test_by_hand():
    g = np.array([[3.0, 1.0], [3.0, -1.0]])  # mean (3, 0)
    found = signal_to_noise(g @ g.T)
    # products of different pairs: 8, so signal 8; mean square norm 10, so noise 2
    assert (found.signal, found.noise, found.pairs) == (8.0, 2.0, 0.25)


def test_gradients_without_a_mean_show_no_signal():
    g = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = signal_to_noise(g @ g.T)
    assert found.signal < 0 and found.pairs == math.inf and math.isnan(found.low)


def test_the_interval_holds_what_is_known():
    """Gradients mean + noise with a known ratio: the interval of about 95 % holds it in nearly all of 40 trials."""
    rng, dimensions = np.random.default_rng(0), 50
    mean = np.full(dimensions, 0.1)  # signal 0.5, noise 50: 100 pairs
    held = 0
    for _ in range(40):
        g = mean + rng.standard_normal((300, dimensions))
        found = signal_to_noise(g @ g.T)
        held += found.low < 100 < found.high
    assert held >= 34
    assert found.pairs == pytest.approx(100, rel=0.7)
