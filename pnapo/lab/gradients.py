"""How noisy the gradient of a preference is, path by path: at the start of training, or where a training has ended.

The paper claims less variance for stored noise. Measured are signal and noise of the gradient of DPO's loss over pairs: each
pair with one draw of t and, where the path needs it, of noise. At the start the policy is the reference, and all pairs weigh
the same; later a pair weighs σ(−h), by its margin.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pnapo.backbones import Backbone
from pnapo.backbones.base import weights_after
from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.objectives.errors import PairErrors
from pnapo.objectives.losses import LOSSES, dpo
from pnapo.training.adapters import LoraPolicy
from pnapo.training.batches import Batches
from pnapo.training.points import errors_at

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs

COLUMNS = 1 << 16  # of the gradients, multiplied at once in float64


def trained_run(backbone: Backbone, checkpoint: Path | str) -> Run:
    """DPO at the β of a trained LoRA checkpoint, and with its adapter and distribution of t.

    Raises UserError if the checkpoint does not fit the backbone or is damaged, or is not of a LoRA adapter trained against a
    reference.
    """
    run = backbone.read_checkpoint(checkpoint)["run"]
    if run["adapter"] != "lora":
        raise UserError(
            f"{checkpoint}: a full fine-tuning; gradients are compared on LoRA adapters: choose a run with `adapter: lora`"
        )
    if not LOSSES[run["loss"]].reference:
        raise UserError(
            f"{checkpoint}: trained by {run['loss']}, whose β is not that of DPO; choose a run whose loss has a reference"
        )
    kept = {name: run[name] for name in ("beta", "lora_rank", "lora_alpha", "time_sampling")}
    return Run(loss="dpo", schedule="constant", **kept)


def gradient_products(
    backbone: Backbone,
    pairs: "PreferencePairs",
    embeddings: "Embeddings",
    *,
    path: str,
    count: int,
    seed: int,
    checkpoint: Path | str | None = None,
    step: int | None = None,
    log: Callable[[str], None] = print,
) -> np.ndarray:
    """The products g_i·g_j, float64 [n, n], of the gradients of n = min(count, pairs) pairs.

    They are of the loss over β, which at the start is the same for every β. The policy starts as a new LoRA adapter, or from
    the `checkpoint` (its manifest) of a trained one, or its snapshot after `step` steps, with the β of that run, whatever its
    schedule (`trained_run`).
    """
    run = trained_run(backbone, checkpoint) if checkpoint else Run(loss="dpo", schedule="constant", beta=1.0)
    run = run.model_copy(update={"path": path})
    batches = Batches(pairs, embeddings, run, seed=seed, draw_seed=seed, reward_scale=1.0, device=backbone.device)
    count, guidance = min(count, len(pairs.prompt_ids)), pairs.settings["guidance"]
    policy, found = LoraPolicy(backbone, run, seed), None
    try:
        if checkpoint:
            policy.load(weights_after(Path(checkpoint), step))
        # A new adapter's A has no gradient, as its B is 0.
        weights = [p for name, p in policy.trainable.items() if checkpoint or "lora_B" in name]
        for position in range(count):
            batch = batches.at(position, 1)
            own = errors_at(backbone, policy.model, batch, guidance)
            known = own.detach()
            if checkpoint:
                with policy.reference() as reference:
                    known = errors_at(backbone, reference, batch, guidance)
            loss = (
                dpo(PairErrors(*own.chunk(2), *known.chunk(2)), own.new_tensor([run.beta]), batch.gap).sum() / run.beta
            )
            gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).float().cpu()
            found = gradient.new_empty(count, len(gradient)) if found is None else found
            found[position] = gradient
            if position % 32 == 31 or position + 1 == count:
                log(f"gradients on path {path}: {position + 1}/{count}")
    finally:
        policy.close()
    return sum(part @ part.T for part in (c.double() for c in found.split(COLUMNS, dim=1))).numpy()


class Signal(NamedTuple):
    """Of the gradients of pairs: the squared norm of their mean, their variance (trace), and what follows from both."""

    signal: float
    noise: float
    pairs: float  # pairs whose mean has a signal-to-noise ratio of 1: noise/signal; infinite if no signal was found
    low: float  # ends of the interval of `pairs`, from the jackknife's interval of the signal
    high: float
    signal_low: float  # ends of the jackknife's intervals
    signal_high: float
    noise_low: float
    noise_high: float


def left_out(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signal and noise [n] from products g_i·g_j [n, n] with each pair left out once, for jackknives of what follows."""
    n, total, squares = len(products), products.sum(), np.diag(products)
    own, without = squares.sum(), total - 2 * products.sum(0) + squares
    signals = (without - (own - squares)) / ((n - 1) * (n - 2))
    return signals, (own - squares) / (n - 1) - signals


def signal_to_noise(products: np.ndarray, z: float = 1.96) -> Signal:
    """From products g_i·g_j [n, n]. The signal is estimated without bias, from i ≠ j, so it may come out negative."""
    n, own = len(products), np.trace(products)
    signal = (products.sum() - own) / (n * (n - 1))
    noise = own / n - signal
    signals, noises = left_out(products)
    reach, noise_reach = (z * np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum()) for left in (signals, noises))
    ends = (signal - reach, signal + reach, noise - noise_reach, noise + noise_reach)
    low, pairs, high = (noise / s if s > 0 else np.inf for s in (signal + reach, signal, signal - reach))
    return Signal(*map(float, (signal, noise, pairs, low, high, *ends)))
