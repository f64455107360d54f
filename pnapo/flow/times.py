"""Distributions of the training time t, as quantile functions of one uniform number.

Because every distribution maps the same uniform number monotonically, two runs that differ only in the distribution see
times in the same order and the same fresh noise.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

_EDGE = 2.0**-24  # keeps t strictly between 0 and 1 in float32 too


def uniform(q: float) -> float:
    """t ~ U(0, 1), the choice of Diffusion-DPO and PNAPO (methods.md A2, A13)."""
    return q


def logit_normal(q: float) -> float:
    """t = sigmoid(z), z ~ N(0, 1): SD3's training distribution (Esser et al. 2024, arXiv 2403.03206, section 3.1)."""
    return 1 / (1 + math.exp(-NormalDist().inv_cdf(q)))


TIMES: dict[str, Callable[[float], float]] = {"uniform": uniform, "logit_normal": logit_normal}


def time_at(q: float, sampling: str) -> float:
    """The time t in (0, 1) at quantile q in [0, 1) of the distribution named `sampling`."""
    q = min(max(q, _EDGE), 1 - _EDGE)
    return min(max(TIMES[sampling](q), _EDGE), 1 - _EDGE)
