"""What gains over the base model show: a training reward that rises while what it stands for falls."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pnapo.watch.finding import Finding


class Gain(NamedTuple):
    """A run's mean gain over the base model after so many steps, with its interval."""

    step: int
    gain: float
    low: float
    high: float


START = Gain(0, 0.0, 0.0, 0.0)  # the base model itself


def reward_hacking(curves: Mapping[str, Sequence[Gain]], trained_on: str) -> Iterator[Finding]:
    """Each metric that fell since an earlier snapshot of the run, or since the base model, while the reward it was trained on
    rose: said at the first snapshot where the intervals of both changes exclude 0.

    `curves` are one run's gains by metric on one test set, in the order of steps; a run without snapshots has its end alone.
    """
    reward = {point.step: point for point in (START, *curves.get(trained_on, ()))}
    for metric, points in curves.items():
        if metric == trained_on:
            continue
        points = [point for point in (START, *points) if point.step in reward]
        pairs = ((before, now) for i, now in enumerate(points) for before in points[:i])
        for before, now in pairs:
            then, reached = reward[before.step], reward[now.step]
            if now.high < before.low and reached.low > then.high:
                since = f"since step {before.step}" if before.step else "over the base model"
                text = (
                    f"{trained_on}, which it was trained on, rose by {reached.gain - then.gain:.3g} {since} while {metric} "
                    f"fell by {before.gain - now.gain:.3g}: a sign of reward hacking; train for fewer steps, raise beta, or "
                    "add the other reward to the preference"
                )
                numbers = {"rose": reached.gain - then.gain, "fell": before.gain - now.gain}
                yield Finding("reward_hacking", now.step, before.step, numbers, text)
                break
