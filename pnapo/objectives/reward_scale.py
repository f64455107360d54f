"""The factor s on the reward gap inside f(s·δr) = tanh(s·δr/2) (methods.md A13, "the scale of δr").

On raw HPSv2.1 cosines two samples differ by about 0.01 and f would be about 0.005; on the ×100 scale of the paper's
tables f is of order 1. Needs no torch, so that reports can use it.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pnapo.errors import UserError


def resolve_reward_scale(setting: float | Literal["raw", "auto"], gaps: Sequence[float]) -> float:
    """The number s. `raw` is 1; `auto` makes the median f of the pair set ½, s = ln 3 / median gap.

    `gaps` are the raw reward gaps of the pairs, ties left out. Raises UserError if `auto` meets a median of 0.
    """
    if setting == "raw":
        return 1.0
    if setting != "auto":
        return float(setting)
    median = float(np.median(np.asarray(gaps, dtype=np.float64)))
    if not median > 0:
        raise UserError("reward_scale: auto needs pairs with a positive median reward gap; give a number instead")
    return math.log(3) / median
