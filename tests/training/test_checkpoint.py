import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from pnapo.artifacts import read_manifest, verify_manifest, write_manifest
from pnapo.backbones.digest import config_digest
from pnapo.errors import UserError
from pnapo.training.adapters import ADAPTERS
from pnapo.training.settings import resolve_settings


@pytest.fixture
def velocity(embeddings, pairs):
    def of(backbone, transformer=None):
        with torch.no_grad():
            cond = embeddings.rows(pairs.prompt_ids[:3])
            return backbone.velocity(pairs.xT_w[:3], torch.tensor([0.9, 0.5, 0.1]), cond, transformer=transformer)

    return of


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize("change", [{}, {"lora_alpha": 10}, {"adapter": "full"}])
def test_a_saved_policy_loads_as_what_it_was(family, change, backbone_of, pairs, settings, velocity, tmp_path):
    backbone, run = backbone_of(family), settings(**change)
    policy = ADAPTERS[run.adapter](backbone, run, seed=0)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in policy.trainable.values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    trained = velocity(backbone, policy.model)
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    policy.save(folder)
    policy.close()
    assert not torch.allclose(velocity(backbone), trained, atol=1e-2)
    of_family = replace(pairs, settings={"family": family, "guidance": 1.0})
    resolved = resolve_settings(backbone=backbone, pairs=of_family, run=run, seed=0, draw_seed=0)
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    backbone.load_policy(write_manifest(folder, "checkpoint", resolved, files))
    assert torch.allclose(velocity(backbone), trained, atol=1e-5)


def test_training_changes_the_checkpoint_not_the_backbone(trained, backbone_of, velocity):
    backbone = backbone_of()
    base = velocity(backbone)
    folder = trained(backbone=backbone).folder
    assert torch.equal(velocity(backbone), base)
    backbone.load_policy(folder / "manifest.json")
    assert not torch.allclose(velocity(backbone), base, atol=1e-3)


def test_the_manifest_lists_what_two_identical_runs_share(trained, backbone_of):
    folders = [trained(f"{side}/run").folder for side in "ab"]
    assert folders[0].joinpath("manifest.json").read_bytes() == folders[1].joinpath("manifest.json").read_bytes()
    manifest = read_manifest(folders[0] / "manifest.json", "checkpoint")
    assert set(manifest["files"]) == {
        "README.md",
        "pytorch_lora_weights.safetensors",
        "settings.json",
        "train_log.jsonl",
        "warnings.json",
    }
    assert verify_manifest(folders[0] / "manifest.json") == []
    assert {file.name for file in folders[0].iterdir()} - set(manifest["files"]) == {
        "manifest.json",
        "compute.json",
        "speed.jsonl",
    }
    settings = manifest["settings"]
    assert settings["family"] == "sd3" and settings["transformer_config"] == config_digest(backbone_of().transformer)
    assert settings["beta_sum"] == 50 / (2 * 4 * 8 * 8) and settings["run"]["schedule"] == "dynamic"
    assert json.loads((folders[0] / "settings.json").read_text()) == settings
    assert len((folders[0] / "speed.jsonl").read_text().splitlines()) == 8


def test_a_checkpoint_of_another_backbone_is_refused(trained, backbone_of):
    folder = trained(steps=1).folder
    for other in (backbone_of("flux"), backbone_of("sd3", layers=2)):
        with pytest.raises(UserError, match="another backbone"):
            other.load_policy(folder / "manifest.json")


def test_a_checkpoint_of_another_resolution_is_refused(trained, backbone_of):
    folder, backbone = trained(steps=1).folder, backbone_of()
    backbone.resolution = 32
    with pytest.raises(
        UserError, match=r"trained on latents of shape \[4, 8, 8\], but .* at resolution 32 has \[4, 16, 16\]"
    ):
        backbone.load_policy(folder / "manifest.json")


def test_the_model_card_is_readable_by_man_and_machine(trained, backbone_of):
    backbone = backbone_of()
    Path(backbone.path, "README.md").write_text("---\nlicense: openrail++\n---\n# Base\n")
    text = (trained("my-run", backbone=backbone).folder / "README.md").read_text("utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["base_model"] == backbone.path and head["library_name"] == "diffusers"
    assert head["license"] == "openrail++" and {"lora", "text-to-image"} <= set(head["tags"])
    assert "# my-run" in text and "stored × dpo × dynamic" in text and "load_lora_weights" in text
    assert "β = 50\n" in text and "β/(2D) = 0.0976562" in text
    assert '"draw_seed": 0' in text and "| implicit accuracy |" in text


def test_a_new_checkpoint_replaces_one_of_another_kind_whole(trained):
    trained(adapter="full", steps=1)
    folder = trained(steps=1).folder
    assert not (folder / "transformer").exists()
    assert verify_manifest(folder / "manifest.json") == []


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_policy_for_the_negative_branch_leaves_the_model_itself_alone(adapter, trained, backbone_of, velocity):
    manifest = trained("npo", loss="npo", adapter=adapter).folder / "manifest.json"
    backbone, other = backbone_of(), backbone_of()
    before = velocity(backbone)
    backbone.load_policy(manifest, negative=True)
    other.load_policy(manifest)
    assert torch.equal(velocity(backbone), before)
    assert torch.equal(velocity(backbone, backbone.negative), velocity(other))
    with pytest.raises(UserError, match="negative branch of classifier-free guidance, but flux embeds its guidance"):
        backbone_of("flux").load_policy(manifest, negative=True)
