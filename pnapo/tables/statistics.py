"""Means, intervals, win rates and tests (methods.md B, "median reward" and "win rate"; design.md, "Statistics").

The unit that is resampled is the prompt: images of one prompt are averaged first, since they are not independent. Every
interval is a percentile bootstrap over prompts, but those of `crossed_effect`, which are over training seeds too. Equal
seed and number of prompts give equal resamples, so that the intervals of two runs on one test set rest on the same draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pnapo.config.schema import Statistics
from pnapo.flow.random import stream

_CHUNK = 1 << 22  # indices drawn at once, to bound memory


class Effect(NamedTuple):
    """A mean, the ends of its confidence interval, and the two-sided p-value of its being 0."""

    value: float
    low: float
    high: float
    p: float


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
    groups = _groups(values, strata)
    replicates = np.mean(
        [bootstrap_means(g, settings.bootstrap, settings.seed, i) for i, g in enumerate(groups)], axis=0
    )
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Interval(mean(values, strata), float(low), float(high))


def mean(values: np.ndarray, strata: Sequence[str] | None = None) -> float:
    """The mean of values [N], or the unweighted mean of the means of `strata` [N]."""
    return float(np.mean([group.mean() for group in _groups(values, strata)]))


def _groups(values: np.ndarray, strata: Sequence[str] | None) -> list[np.ndarray]:
    values = np.asarray(values, np.float64)
    if strata is None:
        return [values]
    labels = np.asarray(strata, dtype=object)
    return [values[labels == name] for name in sorted(set(strata))]


def crossed_effect(values: np.ndarray, confidence: float, weights: np.ndarray | None = None) -> Effect:
    """The mean of values [S, P], training seeds by prompts, as a draw from all seeds and all prompts.

    Both are random and crossed, every seed meeting every prompt, so that another choice of either is within the interval:
    variance (MS_seed + MS_prompt − MS_rest)/(S·P), at least that of either alone, and Student's t with Satterthwaite's degrees
    of freedom. With one seed the spread over seeds is unknown and left out. `weights` [P], of mean 1, are the prompts'
    (GenEval's tasks count alike however many prompts they have).
    """
    from scipy import stats

    values = np.atleast_2d(np.asarray(values, np.float64))
    if weights is not None:
        values = values * np.asarray(weights, np.float64)
    seeds, prompts = values.shape
    mean, rows, columns = values.mean(), values.mean(1), values.mean(0)
    by_prompt = seeds * columns.var(ddof=1) if prompts > 1 else 0.0
    squares, degrees = [by_prompt], [prompts - 1]
    if seeds > 1:
        by_seed = prompts * rows.var(ddof=1)
        rest = ((values - rows[:, None] - columns + mean) ** 2).sum() / ((seeds - 1) * max(1, prompts - 1))
        both = by_seed + by_prompt - rest
        if both > max(by_seed, by_prompt):
            squares, degrees = [by_seed, by_prompt, -rest], [seeds - 1, prompts - 1, (seeds - 1) * (prompts - 1)]
        elif by_seed > by_prompt:
            squares, degrees = [by_seed], [seeds - 1]
    total = sum(squares)
    if total <= 0:
        return Effect(float(mean), float(mean), float(mean), 1.0 if mean == 0 else 0.0)
    free = total**2 / sum(square**2 / max(1, degree) for square, degree in zip(squares, degrees))
    error = np.sqrt(total / (seeds * prompts))
    half = stats.t.ppf((1 + confidence) / 2, free) * error
    return Effect(*map(float, (mean, mean - half, mean + half, 2 * stats.t.sf(abs(mean) / error, free))))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method: the chance of any false finding stays below each."""
    order, adjusted, worst = np.argsort(p_values, kind="stable"), np.empty(len(p_values)), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * float(p_values[i])))
        adjusted[i] = worst
    return adjusted.tolist()


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
