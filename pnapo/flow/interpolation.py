"""The straight path of rectified flow (Liu et al. 2022, arXiv 2209.03003; methods.md section 0).

x_t = (1 − t)·x0 + t·xT joins the latent x0 (t = 0) to the prior noise xT (t = 1); its velocity u = xT − x0 is constant.
"""

import torch


def interpolate(x0: torch.Tensor, xT: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The point x_t [B, …] of the path from x0 to xT [B, …] at t [B] in 0..1."""
    t = t.reshape(-1, *[1] * (x0.dim() - 1)).to(x0.dtype)
    return (1 - t) * x0 + t * xT


def velocity_target(x0: torch.Tensor, xT: torch.Tensor) -> torch.Tensor:
    """The velocity u = xT − x0 [B, …] that a network should predict anywhere on the path."""
    return xT - x0
