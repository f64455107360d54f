import math

import numpy as np
import pytest

from pnapo.lab.gradients import signal_to_noise


def test_by_hand():
    g = np.array([[3.0, 1.0], [3.0, -1.0], [3.0, 0.0]])
    found = signal_to_noise(g @ g.T, z=1.0)
    # products of different pairs: 8, 9, 9, so signal 26/3; mean square norm 29/3, so noise 1; left out: 9, 9, 8
    spread = np.sqrt(2 / 3 * ((1 / 3) ** 2 * 2 + (2 / 3) ** 2))
    assert (found.signal, found.noise, found.pairs) == pytest.approx((26 / 3, 1.0, 3 / 26))
    assert (found.low, found.high) == pytest.approx((1 / (26 / 3 + spread), 1 / (26 / 3 - spread)))


def test_gradients_without_a_mean_show_no_signal():
    g = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = signal_to_noise(g @ g.T)
    assert found.signal < 0 and found.pairs == found.high == math.inf


def test_the_interval_holds_what_is_known():
    """Gradients mean + noise with a known ratio: the interval of about 95 % holds it in nearly all of 40 trials."""
    rng, dimensions = np.random.default_rng(0), 50
    mean = np.full(dimensions, 0.1)  # signal 0.5, noise 50: 100 pairs
    held = 0
    for _ in range(40):
        g = mean + rng.standard_normal((600, dimensions))
        found = signal_to_noise(g @ g.T)
        held += found.low < 100 < found.high
    assert held >= 34
