"""How the errors of winner and loser become one number per pair.

A loss is a function (errors, beta [B]) -> [B]; beside it stands what it needs to be computed: the loser's error, the
reference's errors.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the workflow reads the registry, without torch
    import torch

    from pnapo.objectives.errors import PairErrors


class Loss(NamedTuple):
    """A loss and the forward passes it needs beyond the policy's on the winner."""

    function: "Callable[[PairErrors, torch.Tensor], torch.Tensor]"
    loser: bool
    reference: bool


def dpo(errors: "PairErrors", beta: "torch.Tensor") -> "torch.Tensor":
    """−log σ(−½·β·(Δe_w − Δe_l)) [B], with Δe = e − e_ref (Wallace et al. 2023, arXiv 2311.12908; methods.md A2).

    β is in the code convention: mean over dimensions and factor ½. The papers' −log σ(−β_sum·(‖·‖²_w − ‖·‖²_l)) is the
    same function with β_sum = β/(2D). With PNAPO's stored path and dynamic β this is PNAPO's loss (methods.md A13).
    At the reference every margin is 0 and the loss log 2.
    """
    from torch.nn import functional as F

    return -F.logsigmoid(0.5 * beta * errors.margin)


def sft(errors: "PairErrors", beta: "torch.Tensor") -> "torch.Tensor":
    """e_w [B]: flow matching on the winners alone (methods.md A1). Uses neither β, nor loser, nor reference."""
    return errors.w


LOSSES: dict[str, Loss] = {
    "dpo": Loss(dpo, loser=True, reference=True),
    "sft": Loss(sft, loser=False, reference=False),
}
