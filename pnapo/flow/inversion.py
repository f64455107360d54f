"""From a latent back to a noise: Euler steps against the direction of sampling (methods.md A9, rectified-flow form)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

Velocity = Callable[[torch.Tensor, float], torch.Tensor]


def invert(velocity: Velocity, x0: torch.Tensor, grid: Sequence[float], renoise: bool = False) -> torch.Tensor:
    """The noise [B, …] that the flow `velocity(x, t)` joins to latents x0 [B, …].

    `grid` are times from 0 up to 1: x ← x + (t' − t)·v(x, t). With `renoise` the velocity is the mean of that at x and that at
    the point which it leads to, both at t (ReNoise, arXiv 2403.14602, as SmPO uses it). Inverse to Euler's sampling on the same
    grid where the flow is straight, and nearly so where it bends little.
    """
    x = x0
    for t, after in pairwise(grid):
        v = velocity(x, t)
        if renoise:
            v = (v + velocity(x + (after - t) * v, t)) / 2
        x = x + (after - t) * v
    return x
