"""The β of each pair at each step, as a factor in 0..1 on the run's β (PNAPO's dynamic β, methods.md A13).

β_eff(δr, n) = β·f(s·δr)·g(n), with δr the reward gap, s the reward scale and n the share of training done.
A schedule is a function (gap [B] = s·δr, n, n1, n2) -> factor [B].
"""

import math
from collections.abc import Callable

import torch

Schedule = Callable[[torch.Tensor, float, float, float], torch.Tensor]


def constant(gap: torch.Tensor, n: float, n1: float, n2: float) -> torch.Tensor:
    """1 for every pair and step (Diffusion-DPO)."""
    return torch.ones_like(gap)


def reward_gap(gap: torch.Tensor, n: float, n1: float, n2: float) -> torch.Tensor:
    """f = 2σ(gap) − 1 = tanh(gap/2): 0 for a tie, towards 1 for a clear preference."""
    return torch.tanh(gap / 2)


def anneal(gap: torch.Tensor, n: float, n1: float, n2: float) -> torch.Tensor:
    """g: 1 until n1, then ½ + ¼·(1 + cos(π·(n − n1)/(n2 − n1))), a half cosine down to ½ at n2, then ½.

    The form between the ends is inferred: the paper's text states only the ends.
    """
    if n <= n1:
        g = 1.0
    elif n >= n2:
        g = 0.5
    else:
        g = 0.5 + 0.25 * (1 + math.cos(math.pi * (n - n1) / (n2 - n1)))
    return torch.full_like(gap, g)


def dynamic(gap: torch.Tensor, n: float, n1: float, n2: float) -> torch.Tensor:
    """f·g: PNAPO."""
    return reward_gap(gap, n, n1, n2) * anneal(gap, n, n1, n2)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "reward_gap": reward_gap,
    "anneal": anneal,
    "dynamic": dynamic,
}
