"""What the reward gaps of a training's pairs show, before its first step."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from pnapo.config.schema import Watch
from pnapo.watch.finding import Finding


def no_spread(gaps: Sequence[float], scale: float, watch: Watch) -> Iterator[Finding]:
    """Gaps, in the reward's raw units, times the reward scale, are so small that a schedule or loss which weighs by them has
    nothing to weigh."""
    weight = math.tanh(scale * median(gaps) / 2)
    if weight < watch.spread:
        text = (
            f"half of the {len(gaps)} pairs have f = tanh(gap/2) below {weight:.2g} at a reward scale of {scale:g}: the reward "
            "rates the images of a pair alike, and what it weighs is next to nothing; use another reward, more varied samples, "
            "or reward_scale: auto"
        )
        yield Finding("no_spread", 0, 0, {"median_gap": median(gaps), "f": weight}, text)


def gap_outlier(gaps: Sequence[float], scale: float, watch: Watch) -> Iterator[Finding]:
    """One gap is beyond all others."""
    usual, largest = median(gaps), max(gaps)
    if len(gaps) > 2 and largest > watch.outlier * usual:
        ratio = f"{largest / usual:.0f} times the median" if usual else "and the median is 0"
        text = (
            f"the largest of {len(gaps)} gaps is {largest:.3g}, {ratio}: the reward is degenerate, or a score is wrong; look "
            "at the labels of that pair"
        )
        yield Finding("gap_outlier", 0, 0, {"largest": largest, "median": usual}, text)
