"""What saves memory or time and must not change what is learned."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from pnapo.errors import UserError
from pnapo.training.blocks import blocks_of
from pnapo.training.log import read_log

SETTINGS = {"steps": 4, "batch": 2, "accumulation": 2}


def files_of(run):
    """The log and the weights, to the last bit."""
    weights = sorted(run.folder.rglob("*.safetensors"))
    return [(run.folder / "train_log.jsonl").read_bytes(), *(file.read_bytes() for file in weights)]


@pytest.fixture
def recomputed(monkeypatch):
    """How often a block's forward pass was put off."""
    own, calls = torch.utils.checkpoint.checkpoint, []
    monkeypatch.setattr("torch.utils.checkpoint.checkpoint", lambda *a, **k: calls.append(1) or own(*a, **k))
    return calls


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_gradient_checkpointing_changes_no_bit(family, adapter, trained, backbone_of, recomputed):
    changes = {"adapter": adapter, **SETTINGS}
    plain = trained("plain/run", family, **changes)
    assert not recomputed
    backbone = backbone_of(family)
    saving = trained("saving/run", backbone=backbone, gradient_checkpointing=True, **changes)
    blocks = 2 if family == "flux" else 1
    assert len(recomputed) == blocks * 4 * 2  # those of every pass of the policy, and none of the reference's
    assert files_of(plain) == files_of(saving)
    assert not backbone.transformer.gradient_checkpointing


def test_bfloat16_too(trained, backbone_of, recomputed):
    runs = [
        trained(f"{on}/run", backbone=backbone_of(dtype=torch.bfloat16), gradient_checkpointing=on, **SETTINGS)
        for on in (False, True)
    ]
    assert recomputed and files_of(runs[0]) == files_of(runs[1])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_compiled_blocks_learn_the_same(trained, backbone_of):
    backbone = backbone_of()
    plain = trained("plain/run", **SETTINGS)
    compiled = trained("compiled/run", backbone=backbone, compile=True, gradient_checkpointing=True, **SETTINGS)
    one, two = (read_log(run.folder / "train_log.jsonl") for run in (plain, compiled))
    for name in ("loss", "e_w", "e_l", "grad_norm"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4), name
    one, two = (load_file(run.folder / "pytorch_lora_weights.safetensors") for run in (plain, compiled))
    assert all(torch.allclose(one[name], two[name], atol=1e-3) for name in one)
    assert all(block._compiled_call_impl is None for block in blocks_of(backbone.transformer))


def test_moments_of_8_bits_need_their_package(trained, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(UserError, match=r"^optimizer: adamw_8bit needs the package bitsandbytes; pip install [^\n]*$"):
        trained(optimizer="adamw_8bit")


def test_moments_of_8_bits_train_nearly_alike(trained):
    pytest.importorskip("bitsandbytes")
    settings = {"adapter": "full", "learning_rate": 1e-3, "steps": 8, "checkpoint_every": 3}
    logs = [
        read_log(trained(f"{name}/run", optimizer=name, **settings).folder / "train_log.jsonl")
        for name in ("adamw", "adamw_8bit")
    ]
    assert logs[1][0] == logs[0][0] and logs[1][7] != logs[0][7]
    assert [line["loss"] for line in logs[1]] == pytest.approx([line["loss"] for line in logs[0]], rel=0.05)
