"""What the log of a training shows. A detector is asked after every step, with the rows up to it, and looks at the last ones.

Rows are those of train_log.jsonl; a quantity that the loss does not compute is None, and a detector that needs it is silent.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from pnapo.config.schema import Watch
from pnapo.watch.finding import NOT_FINITE, Finding

Row = Mapping[str, Any]
Detector = Callable[[Sequence[Row], Watch, int], Finding | None]
LAST = 3  # norms whose median is the gradient's now
BELOW = 0.45  # an implicit accuracy above this is not called below chance, however many pairs say so


def not_finite(rows: Sequence[Row], watch: Watch, pairs: int) -> Finding | None:
    """A logged number is NaN or infinite."""
    bad = {name: value for name, value in rows[-1].items() if value is not None and not math.isfinite(value)}
    if not bad:
        return None
    name, value = next(iter(bad.items()))
    text = f"{name} is {value}: training diverged; lower learning_rate or beta"
    return _found(NOT_FINITE, rows, 1, bad, text)


def gradient_explodes(rows: Sequence[Row], watch: Watch, pairs: int) -> Finding | None:
    """The norm before clipping, a median of three steps, against the median of the window before them."""
    norms = [row["grad_norm"] for row in rows[-watch.window - LAST :]]
    before, last = norms[:-LAST], norms[-LAST:]
    if not before:
        return None
    usual, now = median(before), median(last)
    if not usual or now <= watch.gradient * usual:
        return None
    text = (
        f"its norm is {now:.3g}, {now / usual:.0f} times the median of the {len(before)} steps before; clipping bounds each "
        "step, not the way they lead: lower learning_rate, or add warmup"
    )
    return _found("gradient_explodes", rows, LAST, {"norm": now, "median": usual}, text)


def both_errors_grow(rows: Sequence[Row], watch: Watch, pairs: int) -> Finding | None:
    """Winner and loser move away from the reference's errors, upwards, while their margin is better than at the start."""
    part = _window(rows, watch, "e_w", "e_l", "e_ref_w", "e_ref_l", "margin")
    if not part or not part["e_ref_w"] or not part["e_ref_l"]:
        return None
    winner, loser = part["e_w"] / part["e_ref_w"] - 1, part["e_l"] / part["e_ref_l"] - 1
    if min(winner, loser) <= watch.growth or part["margin"] <= 0:
        return None
    text = (
        f"winner's error {100 * winner:+.0f} %, loser's {100 * loser:+.0f} % of the reference's, while the margin improved to "
        f"{part['margin']:.3g}: the policy leaves both images, the known failure of DPO; raise beta, lower learning_rate, "
        "train for fewer steps, or use the loss sdpo"
    )
    numbers = {"winner": winner, "loser": loser, "margin": part["margin"]}
    return _found("both_errors_grow", rows, watch.window, numbers, text)


def accuracy_collapses(rows: Sequence[Row], watch: Watch, pairs: int) -> Finding | None:
    """More pairs in the wrong order than in the right one, or hardly more where there had been many; after whole windows."""
    size = watch.window
    if len(rows) % size or rows[-1]["implicit_accuracy"] is None:
        return None
    means = [fmean(row["implicit_accuracy"] for row in rows[i : i + size]) for i in range(0, len(rows), size)]
    now, best, error = means[-1], max(means), 0.5 / math.sqrt(size * pairs)
    slack = watch.accuracy * error
    if now < min(BELOW, 0.5 - slack):
        said = "the policy orders more training pairs the wrong way than the right way"
    elif now < 0.5 + (best - 0.5) / 4 and best - now > math.sqrt(2) * slack:
        said = f"of the {best:.2f} it had, three quarters of what exceeds chance are lost"
    else:
        return None
    text = f"{now:.2f} over {size} steps: {said}; lower learning_rate or beta, and look at the labels"
    return _found("accuracy_collapses", rows, size, {"accuracy": now, "best": best, "standard_error": error}, text)


def far_from_reference(rows: Sequence[Row], watch: Watch, pairs: int) -> Finding | None:
    """‖v − v_ref‖ ≥ |‖v − u‖ − ‖v_ref − u‖| over all of a window's points, by the triangle inequality: errors tell it."""
    for side in "wl":
        own, reference = f"e_{side}", f"e_ref_{side}"
        part = _window(rows, watch, own, reference)
        if not part or not part[reference]:
            continue
        least = abs(math.sqrt(part[own] / part[reference]) - 1)
        if least > watch.drift:
            whose = {"w": "winners", "l": "losers"}[side]
            text = (
                f"on {whose}, ‖v − v_ref‖ is at least {least:.2f} of ‖v_ref − u‖: the policy is another model than the one it "
                "started from, and images may fall apart; raise beta, lower learning_rate, or train for fewer steps"
            )
            return _found("far_from_reference", rows, watch.window, {"distance": least}, text)
    return None


DETECTORS: tuple[Detector, ...] = (
    not_finite,
    gradient_explodes,
    both_errors_grow,
    accuracy_collapses,
    far_from_reference,
)


def _window(rows: Sequence[Row], watch: Watch, *names: str) -> dict[str, float] | None:
    """Means over the last window; None if it is not full, or a quantity is not logged."""
    part = rows[-watch.window :]
    if len(part) < watch.window or any(part[-1][name] is None for name in names):
        return None
    return {name: fmean(row[name] for row in part) for name in names}


def _found(name: str, rows: Sequence[Row], back: int, numbers: Mapping[str, float], text: str) -> Finding:
    """What the last `back` steps show. Their first began with the weights that the step before it had left."""
    step = rows[-1]["step"] + 1
    return Finding(name, step, max(0, step - back - 1), dict(numbers), text)
