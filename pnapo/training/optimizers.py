"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), in one fused kernel or with moments of 8 bits."""

import importlib
from collections.abc import Iterable

import torch

from pnapo.config.schema import Run
from pnapo.errors import UserError


def make_optimizer(run: Run, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that a run asks for. Raises UserError if its package is not installed.

    adamw_8bit quantizes both moments in blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861); those of weights with fewer
    than 4096 numbers stay in float32.
    """
    settings = {"lr": run.learning_rate, "weight_decay": run.weight_decay}
    if run.optimizer == "adamw":
        return torch.optim.AdamW(weights, fused=True, **settings)
    try:
        library = importlib.import_module("bitsandbytes")  # by name, as it is no dependency
    except ImportError:
        raise UserError(
            "optimizer: adamw_8bit needs the package bitsandbytes; pip install bitsandbytes, or set optimizer: adamw"
        ) from None
    return library.optim.AdamW8bit(weights, **settings)
