"""How noisy the gradient of a preference is at the start of training, path by path.

The paper claims less variance for stored noise. Measured are signal and noise of the gradient of DPO's loss over pairs, on a
fresh LoRA adapter (the policy is the reference): each pair with one draw of t and, where the path needs it, of noise.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pnapo.backbones import Backbone
from pnapo.config.schema import Run
from pnapo.objectives.errors import PairErrors, mean_square
from pnapo.objectives.losses import dpo
from pnapo.training.adapters import LoraPolicy
from pnapo.training.batches import Batches
from pnapo.training.points import residuals_at

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs


def gradient_products(
    backbone: Backbone,
    pairs: "PreferencePairs",
    embeddings: "Embeddings",
    *,
    path: str,
    count: int,
    seed: int,
    log: Callable[[str], None] = print,
) -> np.ndarray:
    """The products g_i·g_j, float64 [n, n], of the gradients of n = min(count, pairs) pairs, at β = 1."""
    run = Run(path=path, loss="dpo", schedule="constant", beta=1.0)
    batches = Batches(pairs, embeddings, run, seed=seed, draw_seed=seed, reward_scale=1.0, device=backbone.device)
    count = min(count, len(pairs.prompt_ids))
    policy, gradients = LoraPolicy(backbone, run, seed), []
    try:
        weights = [p for name, p in policy.trainable.items() if "lora_B" in name]  # A has none while B is 0
        for position in range(count):
            batch = batches.at(position, 1)
            w, l = mean_square(residuals_at(backbone, policy.model, batch, pairs.settings["guidance"])).chunk(2)  # noqa: E741
            loss = dpo(PairErrors(w, l, w.detach(), l.detach()), torch.ones_like(w), batch.gap).sum()
            gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).double().cpu())
            if position % 32 == 31 or position + 1 == count:
                log(f"gradients on path {path}: {position + 1}/{count}")
    finally:
        policy.close()
    found = torch.stack(gradients)
    return (found @ found.T).numpy()


class Signal(NamedTuple):
    """Of the gradients of pairs: the squared norm of their mean, their variance (trace), and what follows from both."""

    signal: float
    noise: float
    pairs: float  # pairs whose mean has a signal-to-noise ratio of 1: noise/signal; infinite if no signal was found
    low: float  # ends of the interval of `pairs`, from the jackknife's interval of the signal
    high: float


def signal_to_noise(products: np.ndarray, z: float = 1.96) -> Signal:
    """From products g_i·g_j [n, n]. The signal is estimated without bias, from i ≠ j, so it may come out negative."""
    n, total, own = len(products), products.sum(), np.trace(products)
    signal = (total - own) / (n * (n - 1))
    noise = own / n - signal
    without = total - 2 * products.sum(0) + np.diag(products)
    left_out = (without - (own - np.diag(products))) / ((n - 1) * (n - 2))
    spread = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    low, pairs, high = (noise / s if s > 0 else np.inf for s in (signal + z * spread, signal, signal - z * spread))
    return Signal(*map(float, (signal, noise, pairs, low, high)))
