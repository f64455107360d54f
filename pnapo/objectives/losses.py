"""How the errors of winner and loser become one number per pair.

A loss is a function (errors, beta [B], gap [B]) -> [B], with gap = s·δr, the reward gap on the scale of f; beside it stands
what it needs to be computed: the loser's error, the reference's errors. h = ½·β·margin is the log-ratio difference of the
DPO literature, so one β means the same to `dpo`, `ipo`, `capo` and `npo`. Formulas: methods.md A1 to A13.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the workflow reads the registry, without torch
    import torch

    from pnapo.objectives.errors import PairErrors

MAPO_SHAPE, MAPO_TEMPERATURE = 0.5, 1000.0  # k and T of MaPO's public code
LINEAR_SLOPE, LINEAR_FLOOR = 0.2, 0.01  # of Linear-DPO's weight, and η
SDPO_SLACK = 0.9  # μ of Diffusion-SDPO's public training of SD 1.5; 0.6 there for SDXL


class Loss(NamedTuple):
    """A loss and the forward passes it needs beyond the policy's on the winner."""

    function: "Callable[[PairErrors, torch.Tensor, torch.Tensor], torch.Tensor]"
    loser: bool = True
    reference: bool = True
    cross: bool = False  # whether it compares the residuals of both sides
    deviation: bool = (
        False  # whether it compares the velocities of policy and reference, which no table of errors holds
    )
    negative: bool = False  # whether its weights are for the negative branch of classifier-free guidance


def dpo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """−log σ(h) [B], h = ½·β·margin = −½·β·(Δe_w − Δe_l), Δe = e − e_ref (Wallace et al. 2023, arXiv 2311.12908; A2).

    β is in the code convention: mean over dimensions and factor ½. The papers' −log σ(−β_sum·(‖·‖²_w − ‖·‖²_l)) is the
    same function with β_sum = β/(2D). With PNAPO's stored path and dynamic β this is PNAPO's loss (A13); with the inverted
    path InPO's, with γ = 10 as reward scale SmPO's (A9). At the reference every margin is 0 and the loss log 2.
    """
    from torch.nn import functional as F

    return -F.logsigmoid(0.5 * beta * errors.margin)


def npo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """−log σ(−h) [B]: DPO with winner and loser exchanged, for a model of what NOT to do (Diffusion-NPO, A10).

    Its weights serve in the negative branch of classifier-free guidance, v = v_npo(∅) + s·(v_base(c) − v_npo(∅)); at
    guidance s = 1 its images are the base model's.
    """
    from torch.nn import functional as F

    return -F.logsigmoid(-0.5 * beta * errors.margin)


def ipo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """(h − 1)² [B]: pulls the log-ratio difference towards 1 instead of infinity (Azar et al. 2023, arXiv 2310.12036; A3)."""
    return (0.5 * beta * errors.margin - 1).square()


def capo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """(h − (Rca_w − Rca_l))² [B]: towards the difference of calibrated win rates (CaPO, arXiv 2502.02588; A4).

    Of two samples, Rca_w − Rca_l = σ(gap) − σ(−gap) = tanh(gap/2). Of more samples, or several rewards, the labels of a
    preference (`pnapo.pairs.calibration`) hold the gap of which that is true. The paper's weight over time is
    `time_weight: snr`. The paper prints β·(R_w − R_l) without code; here it is h, so that β means what it means elsewhere.
    """
    import torch

    return (0.5 * beta * errors.margin - torch.tanh(gap / 2)).square()


def sdpo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """`dpo`, the loser's gradient times λ so that the winner's error falls (Diffusion-SDPO, arXiv 2511.03317).

    λ = (1 − μ)·Σ r_w² / Σ r_w·r_l over the forward pass, r = v − u, at most 1, and 1 where the sum below is not positive. μ is
    0.9: to first order the winner's error keeps nine tenths of the fall that its own gradient gives it. With μ = 0 it may
    stand still, but as Σ r_w·r_l exceeds Σ r_w² only where the loser's errors are the larger ones and almost parallel, λ would
    stay at 1. The value is that of `dpo`.
    """
    import torch
    from torch.nn import functional as F

    own, both = errors.w.detach().sum(), errors.cross.sum()
    scale = torch.where(both > 0, (1 - SDPO_SLACK) * own / both.clamp(min=1e-12), 1.0).clamp(0, 1)
    loser = errors.l.detach() + scale * (errors.l - errors.l.detach())
    return -F.logsigmoid(-0.5 * beta * ((errors.w - errors.ref_w) - (loser - errors.ref_l)))


def linear(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """ω·(e_w − e_l) [B], ω = clamp(½ − 0.2·β·margin, η, 1 − η) without gradient, η = 0.01 (Linear-DPO, arXiv 2605.21123).

    DPO's weight σ(−h), made piecewise linear and never 0: a pair that is solved goes on pushing. β without the factor ½, as
    in the public code. In the paper the reference follows the policy: `reference_ema: 0.995`. The public code moves it just
    before each step of the optimizer, this one just after, so that it knows of one step more.
    """
    weight = (0.5 - LINEAR_SLOPE * beta * errors.margin.detach()).clamp(LINEAR_FLOOR, 1 - LINEAR_FLOOR)
    return weight * (errors.w - errors.l)


def inversion_dpo_published(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """−log σ(+½·β·(d_w − d_l)) [B], d = ω(t)·mean((v − v_ref)²) (Inversion-DPO, arXiv 2507.11554, its public code; A9).

    As published, for comparison; two things speak against it. (1) The sign. On a path that the reference itself inverted, the
    log-ratio of policy and reference is −d up to scale, so DPO is −log σ(−½·β·(d_w − d_l)): on the winner, stay at the
    reference. The code has +: it rewards going away from it there. (2) d is quadratic in v − v_ref, so with either sign the
    gradient at the start, where the policy is the reference, is exactly 0. The public code leaves that point because it rounds
    policy and reference differently; here they round alike (a LoRA adapter, or float32), so that the run stays the base model,
    and only full fine-tuning of a bfloat16 model moves, wherever rounding pushes it. Here at one t per pair and visit, on the
    straight line to the inverted noise, without guidance; there summed over 80 steps of the inversion itself, at guidance 2.

    The form with a direction is `dpo` on the path `inverted`, whose target x̂T − x0 is not v_ref. With DPO's sign and the sum
    over the steps of the inversion, each with that step's own velocity as target, it would be (1) again: that target is v_ref.
    """
    from torch.nn import functional as F

    return -F.logsigmoid(0.5 * beta * (errors.dev_w - errors.dev_l))


def kto(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """½·[(1 − σ(β·(g_w − z))) + (1 − σ(−β·(g_l − z)))] [B], g = −Δe (Diffusion-KTO, arXiv 2404.04465; A6).

    Winners are the desirable images, losers the undesirable ones, both with weight 1. z, the anchor, is the mean of g over all
    images of the forward pass, at least 0, without gradient. β without the factor ½, as in the public code (1000 there).
    """
    import torch

    g_w, g_l = errors.ref_w - errors.w, errors.ref_l - errors.l
    anchor = torch.cat([g_w, g_l]).mean().clamp(min=0).detach()
    return 0.5 * (torch.sigmoid(-beta * (g_w - anchor)) + torch.sigmoid(beta * (g_l - anchor)))


def self_npo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """½·(e_w + e_l) [B]: learning from the model's own poor images what NOT to do (Self-NPO, arXiv 2505.11777; A10).

    On the path `truncated`, which has these images, with `time_weight: x0`, which makes e the error of the predicted image.
    Labels, β and reference are not used. Its weights serve as those of `npo`. The public code goes on from real images with
    noise instead of from noise alone, has a moving average of the policy without prompt for a teacher instead of the frozen
    model with it, and takes a Huber loss.
    """
    return 0.5 * (errors.w + errors.l)


def mapo(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """e_w − β·log σ(T·(φ(e_w) − φ(e_l))) [B], φ(e) = k·e/(exp(k·e) − 1), k = ½, T = 1000 (MaPO, arXiv 2406.06424; A7).

    Without a reference. β is 0.1 in the public code.
    """
    import torch
    from torch.nn import functional as F

    def amplified(error: torch.Tensor) -> torch.Tensor:
        scaled = (MAPO_SHAPE * error).clamp(min=1e-12)
        return scaled / torch.expm1(scaled)

    return errors.w - beta * F.logsigmoid(MAPO_TEMPERATURE * (amplified(errors.w) - amplified(errors.l)))


def sft(errors: "PairErrors", beta: "torch.Tensor", gap: "torch.Tensor") -> "torch.Tensor":
    """e_w [B]: flow matching on the winners alone (A1). Uses neither β, nor loser, nor reference.

    With the stored path it straightens the trajectories of the winners (reflow).
    """
    return errors.w


LOSSES: dict[str, Loss] = {
    "dpo": Loss(dpo),
    "ipo": Loss(ipo),
    "capo": Loss(capo),
    "sdpo": Loss(sdpo, cross=True),
    "linear": Loss(linear),
    "inversion_dpo_published": Loss(inversion_dpo_published, deviation=True),
    "kto": Loss(kto),
    "npo": Loss(npo, negative=True),
    "self_npo": Loss(self_npo, reference=False, negative=True),
    "mapo": Loss(mapo, reference=False),
    "sft": Loss(sft, loser=False, reference=False),
}
