"""An exponential moving average of the trained weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


class EMA:
    """shadow ← decay·shadow + (1 − decay)·weight after every step, in float32, from the initial weights on.

    With decay 0 the shadow is always the last weights.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor], decay: float):
        self.decay = decay
        self.shadow = {name: value.detach().float().clone() for name, value in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take one step towards `weights` (the same names as at the start)."""
        for name, value in self.shadow.items():
            value.mul_(self.decay).add_(weights[name].detach().float(), alpha=1 - self.decay)

    def load(self, shadow: Mapping[str, torch.Tensor]) -> None:
        """Go on from the shadow of a saved state."""
        self.shadow = {name: shadow[name].to(value.device) for name, value in self.shadow.items()}

    @contextmanager
    def instead_of(self, weights: Mapping[str, torch.nn.Parameter]) -> Iterator[None]:
        """Inside the block the parameters `weights`, float32, are the average, and the average is they."""
        self._exchange(weights)
        try:
            yield
        finally:
            self._exchange(weights)

    @torch.no_grad()
    def _exchange(self, weights: Mapping[str, torch.Tensor]) -> None:
        for name, value in self.shadow.items():  # by content: whoever gathers split weights knows where theirs lie
            own = value.clone()
            value.copy_(weights[name])
            weights[name].copy_(own)
