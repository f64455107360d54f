import math

import pytest
import torch

from pnapo.objectives.errors import PairErrors, errors
from pnapo.objectives.losses import LOSSES, dpo, sft


def pair(w: float, l: float, ref_w: float, ref_l: float) -> PairErrors:  # noqa: E741
    return PairErrors(*(torch.tensor([x], dtype=torch.float64) for x in (w, l, ref_w, ref_l)))


@pytest.mark.parametrize(
    ("found", "beta", "expected"),
    [
        (pair(0.5, 0.5, 0.5, 0.5), 5000.0, math.log(2)),
        # Δe_w = −0.001, Δe_l = 0.001, half of β times 0.002 is 5: −log σ(5)
        (pair(0.499, 0.501, 0.5, 0.5), 5000.0, 0.006715348489118068),
        # the other way round: −log σ(−5)
        (pair(0.501, 0.499, 0.5, 0.5), 5000.0, 5.006715348489118),
        # Δe_w = 0.1, Δe_l = −0.3, ½·10·0.4 = 2: −log σ(−2)
        (pair(0.3, 0.2, 0.2, 0.5), 10.0, 2.1269280110429727),
    ],
)
def test_dpo_by_hand(found, beta, expected):
    assert dpo(found, torch.tensor([beta], dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-9)


def test_dpo_stays_finite_at_huge_margins():
    loss = dpo(pair(1e3, 0.0, 0.0, 0.0), torch.tensor([1e4], dtype=torch.float64))
    assert loss.item() == pytest.approx(5e6)


def test_sft_is_the_winners_error():
    assert sft(PairErrors(torch.tensor([0.5, 2.0])), torch.ones(2)).tolist() == [0.5, 2.0]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_agree_with_finite_differences(name):
    loss, generator = LOSSES[name], torch.Generator().manual_seed(0)
    v_w, v_l, ref_w, ref_l, u_w, u_l = (
        torch.randn(3, 2, 4, generator=generator, dtype=torch.float64) for _ in range(6)
    )
    beta = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)

    def value(v_w: torch.Tensor, v_l: torch.Tensor) -> torch.Tensor:
        found = PairErrors(errors(v_w, u_w), errors(v_l, u_l), errors(ref_w, u_w), errors(ref_l, u_l))
        return loss.function(found, beta) + 0 * v_l.sum()  # losses of the winner alone do not touch v_l

    assert torch.autograd.gradcheck(value, (v_w.requires_grad_(), v_l.requires_grad_()), eps=1e-6, atol=1e-8)


def test_dpo_gradient_at_the_reference_is_the_curvature_residual():
    """At θ = ref the slope on v is ∓½·β·½·2·(v_ref − u)/D, so a straight teacher (v_ref = u) gives exactly none."""
    generator = torch.Generator().manual_seed(1)
    u_w, u_l, residual = (torch.randn(2, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    beta = torch.tensor([3.0, 7.0], dtype=torch.float64)

    def slopes(ref_w: torch.Tensor, ref_l: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        v_w, v_l = ref_w.clone().requires_grad_(), ref_l.clone().requires_grad_()
        found = PairErrors(errors(v_w, u_w), errors(v_l, u_l), errors(ref_w, u_w), errors(ref_l, u_l))
        return torch.autograd.grad(dpo(found, beta).sum(), (v_w, v_l))

    for straight in slopes(u_w, u_l):
        assert torch.equal(straight, torch.zeros_like(straight))
    bent_w, bent_l = slopes(u_w + residual, u_l + residual)
    expected = 0.25 * beta[:, None] * 2 * residual / 8
    assert torch.allclose(bent_w, expected)
    assert torch.allclose(bent_l, -expected)
