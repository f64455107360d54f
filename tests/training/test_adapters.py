from typing import get_args

import pytest
import torch

from pnapo.config.schema import Run
from pnapo.objectives.errors import mean_square
from pnapo.objectives.losses import LOSSES
from pnapo.training.adapters import ADAPTERS
from pnapo.training.batches import Batch
from pnapo.training.lookup import Known
from pnapo.training.points import residuals_at
from pnapo.training.step import pair_errors


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    x, u = (torch.randn(4, 4, 8, 8, generator=generator) for _ in range(2))
    cond = {
        "prompt_embeds": torch.randn(4, 4, 24, generator=generator),
        "pooled": torch.randn(4, 16, generator=generator),
    }
    return Batch(x, u, torch.tensor([0.2, 0.7] * 2), cond, torch.ones(2))


def errors_of(backbone, policy, batch):
    """The errors of policy and reference, at the same points."""
    with policy.reference() as model:
        known = mean_square(residuals_at(backbone, model, batch, 1.0)).chunk(2)
    return pair_errors(backbone, policy.model, batch, LOSSES["dpo"], 1.0, Known(list(known)))


def test_every_configurable_adapter_exists():
    assert set(ADAPTERS) == set(get_args(Run.model_fields["adapter"].annotation))


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_the_policy_starts_exactly_at_the_reference_and_only_it_learns(family, adapter, backbone_of, settings, batch):
    backbone = backbone_of(family)
    before = {name: value.clone() for name, value in backbone.transformer.state_dict().items()}
    policy = ADAPTERS[adapter](backbone, settings(), seed=0)
    found = errors_of(backbone, policy, batch)
    assert torch.equal(found.margin, torch.zeros(2))
    assert found.w.requires_grad and not found.ref_w.requires_grad
    LOSSES["dpo"].function(found, torch.ones(2), torch.ones(2)).sum().backward()
    with torch.no_grad():
        for weight in policy.trainable.values():
            weight -= weight.grad if weight.grad is not None else 0
    moved = errors_of(backbone, policy, batch)
    assert torch.equal(moved.ref_w, found.ref_w)
    assert not torch.equal(moved.w, found.w)
    policy.close()
    after = backbone.transformer.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_perfectly_straight_teacher_gives_no_gradient_at_the_start(backbone_of, settings, batch):
    """methods.md A13: on the stored path the signal is the curvature residual v_ref − u, and only that."""
    backbone = backbone_of()
    policy = ADAPTERS["full"](backbone, settings(adapter="full"), seed=0)
    with torch.no_grad():
        straight = batch._replace(u=backbone.velocity(batch.x, batch.t, batch.cond))
    sizes = []
    for case in (straight, batch):
        found = errors_of(backbone, policy, case)
        LOSSES["dpo"].function(found, torch.full((2,), 5000.0), torch.ones(2)).mean().backward()
        sizes.append(max(w.grad.abs().max().item() for w in policy.trainable.values() if w.grad is not None))
        policy.model.zero_grad()
    assert sizes[0] == 0.0 and sizes[1] > 1.0


def test_the_adapters_start_is_seeded_and_leaves_the_global_generator_alone(backbone_of, settings):
    def start(seed: int) -> torch.Tensor:
        weights = ADAPTERS["lora"](backbone_of(), settings(), seed=seed).trainable
        return torch.cat([w.detach().flatten() for name, w in weights.items() if "lora_A" in name])

    state = torch.get_rng_state()
    first = start(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(start(0), first) and not torch.equal(start(1), first)
    assert first.std().item() == pytest.approx(1 / 4, rel=0.05)  # deviation 1/rank


def test_flux_embeds_the_guidance_it_is_trained_with(backbone_of, settings, batch):
    backbone = backbone_of("flux")
    policy = ADAPTERS["lora"](backbone, settings(), seed=0)
    one, other = (pair_errors(backbone, policy.model, batch, LOSSES["sft"], scale, Known([])).w for scale in (1.0, 3.5))
    assert not torch.equal(one, other)
