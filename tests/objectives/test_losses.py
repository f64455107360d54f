import math

import pytest
import torch

from pnapo.objectives.errors import PairErrors, deviation, mean_product, mean_square, residuals
from pnapo.objectives.losses import LOSSES, dpo, inversion_dpo_published, kto, linear


def pair(w: float, l: float, ref_w: float, ref_l: float) -> PairErrors:  # noqa: E741
    values = {"w": w, "l": l, "ref_w": ref_w, "ref_l": ref_l, "dev_w": 0.5, "dev_l": 0.1}
    return PairErrors(**{name: torch.tensor([x], dtype=torch.float64) for name, x in values.items()})


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
    assert dpo(found, *torch.tensor([[beta], [0.0]], dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-9)


def test_dpo_stays_finite_at_huge_margins():
    loss = dpo(pair(1e3, 0.0, 0.0, 0.0), *torch.tensor([[1e4], [0.0]], dtype=torch.float64))
    assert loss.item() == pytest.approx(5e6)


BY_HAND = {
    # h = ½·10·0.4 = 2, margin −((0.2 − 0.3) − (0.5 − 0.2)) = 0.4
    "npo": (2.1269280110429727, 10.0, 0.0),  # −log σ(−2)
    "ipo": (1.0, 10.0, 0.0),  # (2 − 1)²
    "capo": (2.365083638, 10.0, 1.0),  # (2 − tanh ½)² = (2 − 0.4621172)²
    # g_w = 0.1, g_l = −0.3, anchor max(−0.1, 0) = 0: ½·(σ(−1) + σ(−3))
    "kto": (0.1581836, 10.0, 0.0),
    # ω = max(½ − 0.2·10·0.4, 0.01) = 0.01, times 0.2 − 0.5
    "linear": (-0.003, 10.0, 0.0),
    "inversion_dpo_published": (0.1269280110429727, 10.0, 0.0),  # −log σ(½·10·(0.5 − 0.1)) = log(1 + e^−2)
    "self_npo": (0.35, 10.0, 0.0),  # ½·(0.2 + 0.5)
    # φ(0.2) = 0.1/(e^0.1 − 1) = 0.950833, φ(0.5) = 0.25/(e^0.25 − 1) = 0.880203: 0.2 + 0.1·log(1 + e^−70.6)
    "mapo": (0.2, 0.1, 0.0),
    "sft": (0.2, 10.0, 0.0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    expected, beta, gap = BY_HAND[name]
    beta, gap = (torch.tensor([x], dtype=torch.float64) for x in (beta, gap))
    assert LOSSES[name].function(pair(0.2, 0.5, 0.3, 0.2), beta, gap).item() == pytest.approx(expected, rel=1e-6)


def test_mapo_where_the_errors_are_close():
    # φ(0.2) − φ(0.201) = 0.95083319 − 0.95059155 = 2.416486e-4, times 1000: 0.2 + 0.1·log(1 + e^−0.2416486)
    found = LOSSES["mapo"].function(pair(0.2, 0.201, 0.0, 0.0), *torch.tensor([[0.1], [0.0]], dtype=torch.float64))
    assert found.item() == pytest.approx(0.2579604432, rel=1e-8)


def test_linear_follows_the_margin_between_its_bounds():
    # margin 0.1, β 10: ω = ½ − 0.2 = 0.3 on e_w − e_l = −0.1; margin −1: ω = 0.99 on 0.7
    one = torch.ones(1, dtype=torch.float64)
    assert linear(pair(0.2, 0.3, 0.2, 0.2), 10 * one, one).item() == pytest.approx(-0.03)
    assert linear(pair(0.9, 0.2, 0.2, 0.5), 10 * one, one).item() == pytest.approx(0.99 * 0.7)


def test_linears_gradient_is_its_weight_which_has_none():
    w, l = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (0.2, 0.3))  # noqa: E741
    ref, beta = torch.tensor([0.2], dtype=torch.float64), torch.tensor([10.0], dtype=torch.float64)
    slopes = torch.autograd.grad(linear(PairErrors(w, l, ref, ref), beta, beta), (w, l))
    assert [slope.item() for slope in slopes] == pytest.approx([0.3, -0.3])  # ω = ½ − 0.2·10·0.1


def test_ktos_anchor_is_the_mean_of_the_pass_and_has_no_gradient():
    w = torch.tensor([0.1, 0.3], dtype=torch.float64, requires_grad=True)
    l, ref = torch.tensor([0.4, 0.4], dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64)  # noqa: E741
    one = torch.ones(2, dtype=torch.float64)
    found = kto(PairErrors(w, l, ref, ref), one, one)
    anchor = (0.4 + 0.2 + 0.1 + 0.1) / 4
    winners = [1 / (1 + math.exp(g - anchor)) for g in (0.4, 0.2)]
    loser = 1 / (1 + math.exp(anchor - 0.1))
    assert found.tolist() == pytest.approx([0.5 * (winner + loser) for winner in winners])
    (slope,) = torch.autograd.grad(found.sum(), w)
    assert slope.tolist() == pytest.approx(
        [0.5 * s * (1 - s) for s in winners]
    )  # a gradient of the anchor would add to it


def test_sdpo_makes_the_winners_error_fall():
    """One output v serves both sides, r_w = (1, 0), r_l = (3, 1): DPO moves v along −r_w + r_l, away from the winner."""
    v, u_w, u_l = (torch.tensor([x], dtype=torch.float64) for x in ([1.0, 1.0], [0.0, 1.0], [-2.0, 0.0]))
    beta, gap, slopes = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), {}
    for name in ("dpo", "sdpo"):
        shared = v.clone().requires_grad_()
        r_w, r_l = residuals(shared, u_w), residuals(shared, u_l)
        own = PairErrors(mean_square(r_w), mean_square(r_l), beta, beta, mean_product(r_w.detach(), r_l.detach()))
        value = LOSSES[name].function(own, beta, gap)
        (slopes[name],) = torch.autograd.grad(value, shared)
    # −log σ(h), h = ½·(5 − 0.5): slope ½·σ(−h)·(r_w − λ·r_l), λ = 1 for dpo and 1/30 = (1 − 0.9)·‖r_w‖²/r_w·r_l for sdpo
    weight = 0.5 / (1 + math.exp(2.25))
    assert slopes["dpo"][0].tolist() == pytest.approx([-2 * weight, -weight])
    assert slopes["sdpo"][0].tolist() == pytest.approx([0.9 * weight, -weight / 30])


@pytest.mark.parametrize("name", ["dpo", "sdpo"])
def test_sdpo_has_the_value_of_dpo_and_leaves_opposite_residuals_alone(name):
    found = PairErrors(
        *(torch.tensor([x], requires_grad=True) for x in (0.2, 0.5)), *torch.tensor([[0.3], [0.2], [-0.1]])
    )
    value = LOSSES[name].function(found, torch.tensor([10.0]), torch.ones(1))
    slopes = torch.autograd.grad(value, (found.w, found.l))
    assert value.item() == pytest.approx(math.log1p(math.exp(-2)))
    assert [s.item() for s in slopes] == pytest.approx([5 / (1 + math.exp(2)), -5 / (1 + math.exp(2))])


@pytest.mark.parametrize(
    "name", sorted(set(LOSSES) - {"linear", "sdpo", "kto"})
)  # parts of those have no gradient, by design
def test_gradients_agree_with_finite_differences(name):
    loss, generator = LOSSES[name], torch.Generator().manual_seed(0)
    v_w, v_l, ref_w, ref_l, u_w, u_l = (
        torch.randn(3, 2, 4, generator=generator, dtype=torch.float64) for _ in range(6)
    )
    beta, gap = torch.tensor([[0.5, 1.0, 4.0], [0.1, 1.0, 2.0]], dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
    if name == "mapo":  # at its temperature of 1000 the slope is a step, but for close errors
        v_l, u_l = v_w + 1e-3 * v_l, u_w

    def value(v_w: torch.Tensor, v_l: torch.Tensor) -> torch.Tensor:
        sides = ((v_w, u_w), (v_l, u_l), (ref_w, u_w), (ref_l, u_l))
        errors = (mean_square(residuals(*side)) for side in sides)
        deviations = (deviation(v, ref, t) for v, ref in ((v_w, ref_w), (v_l, ref_l)))
        found = PairErrors(*errors, None, *deviations)
        return loss.function(found, beta, gap) + 0 * v_l.sum()  # losses of the winner alone do not touch v_l

    assert torch.autograd.gradcheck(value, (v_w.requires_grad_(), v_l.requires_grad_()), eps=1e-7, atol=1e-5)


def test_dpo_gradient_at_the_reference_is_the_curvature_residual():
    """At θ = ref the slope on v is ∓½·β·½·2·(v_ref − u)/D, so a straight teacher (v_ref = u) gives exactly none."""
    generator = torch.Generator().manual_seed(1)
    u_w, u_l, residual = (torch.randn(2, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    beta = torch.tensor([3.0, 7.0], dtype=torch.float64)

    def slopes(ref_w: torch.Tensor, ref_l: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        v_w, v_l = ref_w.clone().requires_grad_(), ref_l.clone().requires_grad_()
        sides = ((v_w, u_w), (v_l, u_l), (ref_w, u_w), (ref_l, u_l))
        found = PairErrors(*(mean_square(residuals(*side)) for side in sides))
        return torch.autograd.grad(dpo(found, beta, beta).sum(), (v_w, v_l))

    for straight in slopes(u_w, u_l):
        assert torch.equal(straight, torch.zeros_like(straight))
    bent_w, bent_l = slopes(u_w + residual, u_l + residual)
    expected = 0.25 * beta[:, None] * 2 * residual / 8
    assert torch.allclose(bent_w, expected)
    assert torch.allclose(bent_l, -expected)


def test_published_inversion_dpo_has_no_gradient_at_the_reference_and_rewards_leaving_it_on_the_winner():
    generator = torch.Generator().manual_seed(2)
    ref_w, ref_l, step = (torch.randn(2, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    t, beta = torch.tensor([0.3, 0.7], dtype=torch.float64), torch.full((2,), 2000.0, dtype=torch.float64)
    unused = torch.zeros(2, dtype=torch.float64)

    def loss_of(v_w: torch.Tensor, v_l: torch.Tensor) -> torch.Tensor:
        deviations = deviation(v_w, ref_w, t), deviation(v_l, ref_l, t)
        return inversion_dpo_published(PairErrors(unused, unused, unused, unused, None, *deviations), beta, unused)

    v_w, v_l = ref_w.clone().requires_grad_(), ref_l.clone().requires_grad_()
    start = loss_of(v_w, v_l)
    assert start.tolist() == pytest.approx([math.log(2)] * 2)
    for slope in torch.autograd.grad(start.sum(), (v_w, v_l)):
        assert torch.equal(slope, torch.zeros_like(slope))
    for away in (0.01 * step, -0.01 * step):  # wherever it goes
        assert (loss_of(ref_w + away, ref_l) < start).all() and (loss_of(ref_w, ref_l + away) > start).all()


def test_with_the_inversions_own_steps_as_target_dpo_is_inversion_dpo_with_the_other_sign():
    """Along the curve that the reference inverted, u is v_ref: its error, which gives DPO a direction, is 0."""
    v_w, v_l, ref_w, ref_l = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    own = PairErrors(
        *(mean_square(residuals(v, u)) for v, u in ((v_w, ref_w), (v_l, ref_l), (ref_w, ref_w), (ref_l, ref_l)))
    )
    t, beta = torch.ones(2, dtype=torch.float64), torch.tensor([3.0, 7.0], dtype=torch.float64)  # ω(1) = ½
    deviations = {"dev_w": deviation(v_w, ref_w, t), "dev_l": deviation(v_l, ref_l, t)}
    published = inversion_dpo_published(PairErrors(own.w, own.l, **deviations), -2 * beta, t)
    assert torch.allclose(dpo(own, beta, t), published)
