"""How much less training a method needs: the ratio of pairs at which it first reaches the baseline's best."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pnapo.config.schema import Claims, Statistics
from pnapo.flow.random import stream
from pnapo.tables.budget import Curves, gains_along
from pnapo.tables.labels import label
from pnapo.tables.verdicts import Ends, Finding


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


def compute_ratio(
    root: Path | str, curves: Curves, claims: Claims, backbone: str, statistics: Statistics
) -> Iterator[Finding]:
    """The claim of `claims.speedup` times less compute, with a bootstrap over training seeds and prompts."""
    if not {claims.method, claims.baseline} <= set(curves.on(backbone)) or claims.reward not in curves.metrics:
        return
    ours, theirs = (gains_along(root, curves, backbone, run, claims.reward) for run in (claims.method, claims.baseline))
    our_cost, their_cost = (
        np.array([sum(run.passes(step)) for step in run.steps], float)
        for run in (curves.runs[claims.method], curves.runs[claims.baseline])
    )
    rng, drawn = stream("bootstrap", statistics.seed, "compute"), []
    for _ in range(statistics.bootstrap):
        prompts = rng.integers(ours.shape[2], size=ours.shape[2])
        means = [
            gains[:, rng.integers(gains.shape[1], size=gains.shape[1])][:, :, prompts].mean((1, 2))
            for gains in (ours, theirs)
        ]
        drawn.append(ratio(*means, our_cost, their_cost))
    value, _ = ratio(ours.mean((1, 2)), theirs.mean((1, 2)), our_cost, their_cost)
    tail, (least, most) = (1 - statistics.confidence) / 2, zip(*drawn)
    low, high = (float(np.quantile(ends, at, method="nearest")) for ends, at in ((least, tail), (most, 1 - tail)))
    yield Finding(
        f"{claims.speedup:g} times less compute to reach the baseline's best",
        f"forward passes at {label(claims.baseline)}'s best snapshot over those at which {label(claims.method)} first reaches "
        f"it ({label(claims.reward)}; 0: never), known as closely as the snapshots lie; bootstrap over prompts and seeds; "
        "making the pairs is not counted",
        "ratio of forward passes",
        float(value),
        low,
        high,
        verdict=Ends(low, high).against(claims.speedup),
    )
