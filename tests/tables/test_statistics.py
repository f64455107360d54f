import numpy as np
import pytest
from scipy.stats import binom

from pnapo.config.schema import Statistics
from pnapo.tables import statistics
from pnapo.tables.statistics import bootstrap_means, mean_interval, sign_test, win_credit


def test_bootstrap_of_zeros_and_ones_is_the_binomial():
    values = np.repeat([0.0, 1.0], [280, 120])
    found = mean_interval(values, Statistics(bootstrap=20000, confidence=0.9))
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(binom.ppf(0.05, 400, 0.3) / 400, abs=1 / 400)
    assert found.high == pytest.approx(binom.ppf(0.95, 400, 0.3) / 400, abs=1 / 400)


def test_strata_count_equally_and_are_resampled_apart():
    found = mean_interval(np.array([1.0, 1, 1, 1, 0, 0]), Statistics(bootstrap=50), ["a"] * 4 + ["b"] * 2)
    assert found == (0.5, 0.5, 0.5)  # neither the pooled 2/3, nor any spread, since each stratum is constant


def test_memory_bound_does_not_change_the_draws(monkeypatch):
    values = np.arange(7.0)
    whole = bootstrap_means(values, 50, 3)
    monkeypatch.setattr(statistics, "_CHUNK", 20)
    assert np.array_equal(whole, bootstrap_means(values, 50, 3))
    assert not np.array_equal(whole, bootstrap_means(values, 50, 4))


def test_ties_count_half():
    assert win_credit([1, 2, 3], [2, 2, 2]).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(5, 1, 14 / 64), (1, 5, 14 / 64), (10, 0, 2 / 1024), (3, 3, 1), (0, 0, 1)]
)
def test_sign_test(wins, losses, p):
    assert sign_test(wins, losses) == pytest.approx(p, rel=1e-12)


def test_sign_test_of_large_counts_neither_overflows_nor_vanishes():
    assert sign_test(4000, 3459) == pytest.approx(2 * binom.cdf(3459, 7459, 0.5), rel=1e-6)
