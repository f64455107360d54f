"""Claims about compute: more reward for the same, the same for less."""

from collections.abc import Iterator
from pathlib import Path

from pnapo.config.schema import Claims
from pnapo.tables.labels import label
from pnapo.tables.ratio import compute_ratio
from pnapo.tables.snapshots import Curves, gains_along
from pnapo.tables.statistics import crossed_effect
from pnapo.tables.verdicts import Ends, Finding


def equal_compute(root: Path | str, curves: Curves, claims: Claims, backbone: str) -> Iterator[Finding]:
    """The method against the baseline after the last number of steps that both have a snapshot of."""
    found = [curves.on(backbone).get(run) for run in (claims.method, claims.baseline)]
    if None in found or claims.reward not in curves.metrics:
        return
    ours, theirs = found
    seeds = [seed for seed in ours.seeds if seed in theirs.seeds]
    same = [step for step in ours.steps if step in theirs.steps and ours.passes(step) == theirs.passes(step)]
    if not seeds or not same:
        return
    gains = [
        gains_along(root, curves, backbone, run, claims.reward)[curve.steps.index(same[-1])]
        for run, curve in ((claims.method, ours), (claims.baseline, theirs))
    ]
    chosen = [[curve.seeds.index(seed) for seed in seeds] for curve in found]
    effect = crossed_effect(gains[0][chosen[0]] - gains[1][chosen[1]], curves.statistics.confidence)
    yield Finding(
        "higher reward than the baseline at equal compute",
        f"{label(claims.method)} − {label(claims.baseline)}, {label(claims.reward)}, both after {same[-1]} steps, on prompts "
        "and noises they share, > 0",
        f"difference, {label(claims.reward)}",
        *effect,
        favourable=effect.value > 0,
    )


def less_compute(root: Path | str, curves: Curves, claims: Claims, backbone: str) -> Iterator[Finding]:
    """The claim of `claims.speedup` times less compute."""
    if not {claims.method, claims.baseline} <= set(curves.on(backbone)) or claims.reward not in curves.metrics:
        return
    found = compute_ratio(root, curves, backbone, claims.method, claims.baseline, claims.reward)
    yield Finding(
        f"{claims.speedup:g} times less compute to reach the baseline's best",
        f"forward passes at {label(claims.baseline)}'s best snapshot over those at which {label(claims.method)} first reaches "
        f"it ({label(claims.reward)}; 0: never), known as closely as the snapshots lie; bootstrap over prompts and seeds; "
        "making the pairs is not counted",
        "ratio of forward passes",
        *found,
        verdict=Ends(found.low, found.high).against(claims.speedup),
    )
