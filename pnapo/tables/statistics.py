"""Means, intervals, win rates and tests (methods.md B, "median reward" and "win rate"; design.md, "Statistics").

The unit that is resampled is the prompt: images of one prompt are averaged first, since they are not independent. Every
interval is a percentile bootstrap. Equal seed and number of prompts give equal resamples, so that the intervals of two
runs on one test set rest on the same draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pnapo.config.schema import Statistics
from pnapo.flow.random import stream

_CHUNK = 1 << 22  # indices drawn at once, to bound memory


class Interval(NamedTuple):
    """A number and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def bootstrap_means(values: np.ndarray, resamples: int, *key: str | int) -> np.ndarray:
    """Means [resamples] of draws with replacement from values [N], from the random stream of `key`."""
    values = np.asarray(values, np.float64)
    rng = stream("bootstrap", *key)
    rows = max(1, _CHUNK // len(values))
    means = [
        values[rng.integers(len(values), size=(min(rows, resamples - start), len(values)))].mean(1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(means)


def mean_interval(values: np.ndarray, settings: Statistics, strata: Sequence[str] | None = None) -> Interval:
    """The mean of values [N], one per prompt, and its interval.

    With `strata` [N] the mean is the unweighted mean of the strata's means (GenEval's overall score is a mean over
    tasks), and prompts are resampled within each stratum.
    """
    values = np.asarray(values, np.float64)
    groups = [values]
    if strata is not None:
        labels = np.asarray(strata, dtype=object)
        groups = [values[labels == name] for name in sorted(set(strata))]
    replicates = np.mean(
        [bootstrap_means(g, settings.bootstrap, settings.seed, i) for i, g in enumerate(groups)], axis=0
    )
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Interval(float(np.mean([g.mean() for g in groups])), float(low), float(high))


def win_credit(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """1 where ours > theirs, ½ where they tie, 0 elsewhere; both [...] and paired by prompt and noise."""
    return (np.sign(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)) + 1) / 2


def sign_test(wins: int, losses: int) -> float:
    """The exact two-sided p-value of `wins` against `losses` (ties left out) if both were equally likely.

    Twice the smaller binomial tail, at most 1; computed in whole numbers. 1 without any win or loss.
    """
    total = wins + losses
    term, tail = 1, 0
    for k in range(min(wins, losses) + 1):
        tail += term
        term = term * (total - k) // (k + 1)
    return min(1.0, 2 * tail / 2**total)
