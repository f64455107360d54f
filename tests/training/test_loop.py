import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.training.log import COLUMNS, read_log
from pnapo.training.step import learning_rate


def weights_of(folder):
    return load_file(folder / "pytorch_lora_weights.safetensors")


def test_dpo_starts_at_log_2_and_learns_the_preferences(trained):
    run = trained(steps=12, batch=8)  # 16 rows, as many as the reference's passes have: equal to the last bit
    log = read_log(run.folder / "train_log.jsonl")
    assert [line["step"] for line in log] == list(range(12))
    assert all(tuple(line) == COLUMNS for line in log)
    first, last = log[0], log[-1]
    assert first["loss"] == pytest.approx(math.log(2), rel=1e-6)
    assert first["margin"] == 0.0 and first["implicit_accuracy"] == 0.5
    assert (first["e_w"], first["e_l"]) == (first["e_ref_w"], first["e_ref_l"])
    assert last["implicit_accuracy"] > 0.7 and last["loss"] < 0.67 and last["margin"] > 0
    assert any(line.startswith("step 12/12: loss") for line in run.lines)
    assert any(
        "β 50 in the code convention (mean over 256 dimensions, factor ½), 0.09766" in line for line in run.lines
    )


def test_flux_trains_too_with_the_guidance_of_its_pairs(trained, pairs):
    logs = []
    for guidance in (1.0, 3.5):
        made = replace(pairs, settings={"family": "flux", "guidance": guidance})
        run = trained(f"guidance-{guidance}", family="flux", pairs=made, steps=3, batch=8)
        logs.append(read_log(run.folder / "train_log.jsonl"))
        assert json.loads((run.folder / "settings.json").read_text())["guidance"] == guidance
    assert logs[0][0]["margin"] == 0.0 and logs[0][2]["margin"] != 0.0
    assert logs[0][0]["e_w"] != logs[1][0]["e_w"]


def test_beta_follows_the_schedule(trained, pairs):
    log = read_log(trained(schedule="anneal", n1=0.25, n2=0.75).folder / "train_log.jsonl")
    factors = [line["beta_eff"] / 50 for line in log]
    assert factors[:3] == pytest.approx([1, 1, 1]) and factors[4] == pytest.approx(0.75)
    assert factors[6:] == pytest.approx([0.5, 0.5])
    pairs.gap[:] = 0.01  # × 100 makes f = tanh(½)
    log = read_log(trained("gap", schedule="reward_gap", steps=1).folder / "train_log.jsonl")
    assert log[0]["beta_eff"] == pytest.approx(50 * math.tanh(0.5))


def test_sft_lowers_the_winners_error_and_computes_nothing_else(trained):
    run = trained(loss="sft", path="independent", schedule="constant", steps=20)
    log = read_log(run.folder / "train_log.jsonl")
    for name in ("e_l", "e_ref_w", "e_ref_l", "margin", "implicit_accuracy", "beta_eff"):
        assert {line[name] for line in log} == {None}
    assert all(line["loss"] == line["e_w"] for line in log)
    assert sum(line["loss"] for line in log[-5:]) < 0.95 * sum(line["loss"] for line in log[:5])
    assert json.loads((run.folder / "compute.json").read_text())["forward_passes"] == 20 * 4


@pytest.mark.parametrize("loss", ["dpo", "sft"])
def test_accumulation_equals_the_larger_batch(trained, loss):
    whole = trained("whole", batch=4, loss=loss, steps=4)
    halves = trained("halves", batch=2, accumulation=2, loss=loss, steps=4)
    expected = weights_of(whole.folder)
    for name, value in weights_of(halves.folder).items():
        assert torch.allclose(value, expected[name], atol=1e-5)
    for a, b in zip(*(read_log(run.folder / "train_log.jsonl") for run in (whole, halves))):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4) and a["grad_norm"] == pytest.approx(
            b["grad_norm"], rel=1e-3
        )
    cost = [json.loads((run.folder / "compute.json").read_text()) for run in (whole, halves)]
    assert cost[0]["pairs_seen"] == cost[1]["pairs_seen"] == 16
    assert cost[0]["forward_passes"] == cost[1]["forward_passes"] == 16 * (2 if loss == "dpo" else 1)
    assert cost[0]["reference_passes"] == cost[1]["reference_passes"] == (32 if loss == "dpo" else 0)
    assert cost[0]["gpu_seconds"] == 0 and cost[0]["seconds"] > 0 and cost[0]["peak_memory_mb"] > 50


def test_clipping_bounds_the_step_and_logs_the_norm_before_it(trained):
    """AdamW hides the gradient's scale, so the bound shows in the logged norm only, which must stay unclipped."""
    tight = read_log(trained("tight", max_grad_norm=1e-9, steps=2).folder / "train_log.jsonl")
    loose = read_log(trained("loose", max_grad_norm=1e9, steps=2).folder / "train_log.jsonl")
    assert tight[0]["grad_norm"] == loose[0]["grad_norm"] > 1e-3
    assert tight[1]["margin"] != loose[1]["margin"]


def test_the_average_is_what_is_saved(trained):
    settings = {"loss": "sft", "batch": 2}  # no schedule: the first step is the same whatever `steps` is
    first = weights_of(trained("first", steps=1, **settings).folder)
    last = weights_of(trained("last", steps=2, **settings).folder)
    mean = weights_of(trained("mean", steps=2, ema=0.5, **settings).folder)
    name = next(name for name in last if "lora_B" in name)  # starts at zero
    assert torch.allclose(mean[name], 0.25 * first[name] + 0.5 * last[name], atol=1e-8)


def test_warm_up_is_linear():
    run = Run(learning_rate=0.4, warmup=4)
    assert [learning_rate(run, step) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert learning_rate(Run(learning_rate=0.4), 0) == 0.4


def test_bf16_weights_train_float32_adapters(trained, backbone_of):
    run = trained(backbone=backbone_of(dtype=torch.bfloat16), steps=3)
    assert {value.dtype for value in weights_of(run.folder).values()} == {torch.float32}
    log = read_log(run.folder / "train_log.jsonl")
    assert log[0]["margin"] == 0.0 and log[2]["margin"] != 0.0


def test_divergence_names_the_step_and_leaves_no_checkpoint(trained, pairs, tmp_path):
    pairs.x0_w[:] = 1e30
    with pytest.raises(UserError, match=r"step 1: loss is .*lower learning_rate or beta"):
        trained(loss="sft")
    assert not (tmp_path / "runs" / "run").exists()


def test_pairs_of_another_backbone_are_refused(trained, pairs):
    narrow = {name: getattr(pairs, name)[:, :, :4] for name in ("x0_w", "x0_l", "xT_w", "xT_l")}
    with pytest.raises(UserError, match=r"sd3 backbone with latents of shape \[4, 4, 8\], but .* sd3 with \[4, 8, 8\]"):
        trained(pairs=replace(pairs, **narrow))
    with pytest.raises(UserError, match="made by a flux backbone"):
        trained(pairs=replace(pairs, settings={"family": "flux", "guidance": 1.0}))


def test_n1_beyond_n2_is_refused(trained):
    with pytest.raises(UserError, match=r"n1 = 0\.9 is larger than n2 = 0\.8"):
        trained(n1=0.9)


@pytest.mark.parametrize(
    ("adapter", "dtype", "still"),
    [
        ("lora", torch.float32, True),
        ("lora", torch.bfloat16, True),
        ("full", torch.float32, True),
        ("full", torch.bfloat16, False),
    ],
)
def test_published_inversion_dpo_leaves_its_start_only_by_rounding(trained, backbone_of, adapter, dtype, still):
    """methods.md A9: where the policy is the reference to the last bit, there is nothing to follow."""
    settings = {"loss": "inversion_dpo_published", "schedule": "constant", "reference": "compute", "steps": 3}
    log = read_log(trained(adapter=adapter, backbone=backbone_of(dtype=dtype), **settings).folder / "train_log.jsonl")
    assert [line["grad_norm"] == 0 for line in log] == [still] * 3
    assert [line["loss"] == pytest.approx(math.log(2), rel=1e-6) for line in log] == [True, still, still]


def test_a_loss_that_compares_velocities_has_no_table(trained):
    with pytest.raises(UserError, match=r"inversion_dpo_published: it compares velocities.*set `reference: compute`"):
        trained(loss="inversion_dpo_published")


def test_self_npo_learns_both_images_for_the_negative_branch(trained):
    settings = {"loss": "self_npo", "path": "truncated", "schedule": "constant", "time_weight": "x0"}
    run = trained(steps=20, **settings)
    log, idle = (
        read_log(r.folder / "train_log.jsonl")
        for r in (run, trained("idle", steps=20, learning_rate=1e-12, **settings))
    )
    for name in ("loss", "e_w", "e_l"):  # at the same draws
        assert sum(line[name] for line in log[-5:]) < 0.95 * sum(line[name] for line in idle[-5:])
    assert log[0]["e_ref_w"] is None and log[0]["e_l"] > 0
    assert json.loads((run.folder / "settings.json").read_text())["negative"] is True
    with pytest.raises(UserError, match="path truncated: needs pairs truncated with the seed of the draws, 1"):
        trained("other", draw_seed=1, **settings)
