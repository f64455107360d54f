"""The script, from files on disk to a checkpoint folder, as the workflow calls it."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from pnapo.artifacts import read_manifest, verify_manifest, write_json, write_manifest, write_table, write_tensors
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.pairs.generate import pair_settings
from pnapo.pairs.labels import label
from pnapo.pairs.shards import Shard, write_shard
from pnapo.pairs.store import collect

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("train_script", ROOT / "workflow_scripts" / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def arguments(tmp_path, backbone_of, pairs, embeddings):
    """A pipeline folder, a pair set of one shard, its labels (one tie) and the prompt embeddings, all on disk."""
    backbone = backbone_of()
    folder = Path(backbone.path)
    backbone.transformer.save_pretrained(folder / "transformer")
    write_json(folder / "model_index.json", {"transformer": ["diffusers", "SD3Transformer2DModel"]})
    noise, latent = torch.stack([pairs.xT_l, pairs.xT_w], 1), torch.stack([pairs.x0_l, pairs.x0_w], 1)
    wanted = Pairs(shards=1)
    shard = tmp_path / "samples" / "shard-00000-of-00001.json"
    write_shard(shard, Shard(pairs.prompt_ids, noise, latent), pair_settings(backbone, wanted), seed=0)
    collect([shard], wanted, tmp_path / "pairs.json")
    scores = torch.stack([torch.zeros(10), pairs.gap.float()], 1)
    scores[3] = 0.0
    write_table(tmp_path / "hps.parquet", label(pairs.prompt_ids, scores.numpy()))
    metadata = {"prompt_ids": json.dumps(pairs.prompt_ids)}
    (tmp_path / "embeddings").mkdir()
    write_tensors(tmp_path / "embeddings" / "embeddings.safetensors", embeddings._tensors, metadata)
    write_manifest(tmp_path / "embeddings", "embeddings", {}, ["embeddings.safetensors"])

    def make(model: dict, run: dict) -> list[str]:
        model = {"family": "sd3", "path": str(folder), "resolution": 16, "max_sequence_length": 4, **model}
        options = {
            "pairs": tmp_path / "pairs.json",
            "labels": tmp_path / "hps.parquet",
            "embeddings": tmp_path / "embeddings" / "manifest.json",
            "model": json.dumps(model),
            "run": json.dumps(run),
            "seed": 1,
            "draw-seed": 2,
            "device": "cpu",
            "out": tmp_path / "runs" / "sd3" / "pnapo-s1" / "manifest.json",
        }
        return [str(part) for name, value in options.items() for part in (f"--{name}", value)]

    return make


def test_the_script_writes_a_checkpoint(script, arguments, tmp_path, capsys, backbone_of):
    script(arguments({}, {"schedule": "dynamic", "steps": 3, "batch": 4, "learning_rate": 1e-3}))
    manifest = tmp_path / "runs" / "sd3" / "pnapo-s1" / "manifest.json"
    settings = read_manifest(manifest, "checkpoint")["settings"]
    assert verify_manifest(manifest) == []
    assert (settings["seed"], settings["draw_seed"], settings["pairs"]["count"]) == (1, 2, 9)
    assert "pnapo-s1: stored × dpo × dynamic, 9 pairs, 3 steps of 4 × 1, lora" in capsys.readouterr().out
    backbone_of().load_policy(manifest)


def test_pairs_of_another_resolution_are_one_clear_line(script, arguments, tmp_path):
    with pytest.raises(UserError, match=r"but .* is sd3 with \[4, 16, 16\]; use the pairs of this backbone$"):
        script(arguments({"resolution": 32}, {}))
    assert not (tmp_path / "runs" / "sd3" / "pnapo-s1").exists()
