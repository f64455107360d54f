"""How much less training one run needs than another: the ratio of compute at which it first reaches the other's best."""

from pathlib import Path

import numpy as np

from pnapo.flow.random import stream
from pnapo.tables.snapshots import Curves, gains_along
from pnapo.tables.statistics import Interval


def ratio(
    ours: np.ndarray, theirs: np.ndarray, our_cost: np.ndarray, their_cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most that the cost of their best may be over our cost of first reaching it, two arrays [...].

    Curves are gains [..., steps] at costs [steps] > 0; their best is the first of equal ones. We reached it between the
    snapshot that shows it and the one before, of which there may be none: then the ratio has no upper end. Where we never
    reach it, it lies below that of our last snapshot. Infinite if they gain nothing and we do; if nobody gains, anything.
    """
    best = theirs.max(-1)
    reached = ours >= best[..., None]
    found, at, cost = reached.any(-1), reached.argmax(-1), their_cost[theirs.argmax(-1)]
    before = np.concatenate([[0.0], our_cost])[at]  # of the snapshot before
    with np.errstate(divide="ignore"):
        least, most = np.where(found, cost / our_cost[at], 0.0), np.where(found, cost / before, cost / our_cost[-1])
    nothing, gained = best <= 0, ours.max(-1) > 0
    return np.where(nothing, np.where(gained, np.inf, 0.0), least), np.where(nothing, np.inf, most)


def compute_ratio(root: Path | str, curves: Curves, backbone: str, run: str, other: str, metric: str) -> Interval:
    """Forward passes at the best snapshot of `other` over those at which `run` first reaches its gain (`ratio`).

    The interval is a bootstrap over training seeds and prompts, from the least of the ratio to the most.
    """
    ours, theirs = (gains_along(root, curves, backbone, name, metric) for name in (run, other))
    our_cost, their_cost = (
        np.array([sum(curves.runs[name].passes(step)) for step in curves.runs[name].steps], float)
        for name in (run, other)
    )
    rng, drawn = stream("bootstrap", curves.statistics.seed, "compute"), []
    for _ in range(curves.statistics.bootstrap):
        prompts = rng.integers(ours.shape[2], size=ours.shape[2])
        means = [
            gains[:, rng.integers(gains.shape[1], size=gains.shape[1])][:, :, prompts].mean((1, 2))
            for gains in (ours, theirs)
        ]
        drawn.append(ratio(*means, our_cost, their_cost))
    value, _ = ratio(ours.mean((1, 2)), theirs.mean((1, 2)), our_cost, their_cost)
    tail, (least, most) = (1 - curves.statistics.confidence) / 2, zip(*drawn)
    low, high = (float(np.quantile(ends, at, method="nearest")) for ends, at in ((least, tail), (most, 1 - tail)))
    return Interval(float(value), low, high)
