"""Tiny real transformers and pairs: everything here is the code of a real training, only small."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pnapo.artifacts import write_json, write_manifest, write_table, write_tensors
from pnapo.backbones import FluxBackbone, SD3Backbone
from pnapo.config.schema import Pairs, Run
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.generate import pair_settings
from pnapo.pairs.labels import label
from pnapo.pairs.preferences import PreferencePairs
from pnapo.pairs.shards import Shard, write_shard
from pnapo.pairs.store import collect
from pnapo.training import train

ROOT = Path(__file__).parents[2]
SHAPE = (4, 8, 8)
JOINT, POOLED = 24, 16


class Killed(Exception):
    pass


class Fatal(Embeddings):
    """Embeddings that kill the training at their n-th use, in the middle of a step."""

    left: int

    def rows(self, prompt_ids):
        self.left -= 1
        if self.left < 0:
            self.strike()
        return super().rows(prompt_ids)

    def strike(self):
        raise Killed


@pytest.fixture(autouse=True)
def one_thread_and_a_fresh_accelerator():
    from accelerate.state import AcceleratorState

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.set_num_threads(threads)


@pytest.fixture
def backbone_of(tmp_path):
    """Makes a seeded SD3 or FLUX of width 32 on CPU."""

    def make(family: str = "sd3", layers: int = 1, dtype: torch.dtype = torch.float32):
        from diffusers import FluxTransformer2DModel, SD3Transformer2DModel

        with torch.random.fork_rng():
            torch.manual_seed(0)
            if family == "sd3":
                kind, transformer = (
                    SD3Backbone,
                    SD3Transformer2DModel(
                        sample_size=8,
                        patch_size=2,
                        in_channels=SHAPE[0],
                        num_layers=layers,
                        attention_head_dim=16,
                        num_attention_heads=2,
                        joint_attention_dim=JOINT,
                        caption_projection_dim=32,
                        pooled_projection_dim=POOLED,
                        out_channels=SHAPE[0],
                        pos_embed_max_size=8,
                        qk_norm="rms_norm",
                    ),
                )
            else:
                kind, transformer = (
                    FluxBackbone,
                    FluxTransformer2DModel(
                        in_channels=4 * SHAPE[0],
                        num_layers=layers,
                        num_single_layers=1,
                        attention_head_dim=16,
                        num_attention_heads=2,
                        joint_attention_dim=JOINT,
                        pooled_projection_dim=POOLED,
                        guidance_embeds=True,
                        axes_dims_rope=(4, 6, 6),
                    ),
                )
        folder = tmp_path / family
        (folder / "vae").mkdir(parents=True, exist_ok=True)
        config = {"block_out_channels": [8, 16], "latent_channels": SHAPE[0]}
        (folder / "vae" / "config.json").write_text(json.dumps(config))
        for parameter in transformer.parameters():
            parameter.data = parameter.data.to(dtype)
        return kind({"transformer": transformer}, path=str(folder), resolution=16, max_sequence_length=4)

    return make


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    xT_w, xT_l, a, b = (torch.randn(10, *SHAPE, generator=generator) for _ in range(4))
    return PreferencePairs(
        x0_w=0.6 * xT_w + 0.8 * a,
        x0_l=0.6 * xT_l + 0.8 * b,
        xT_w=xT_w,
        xT_l=xT_l,
        gap=0.05 * torch.rand(10, generator=generator).double(),
        prompt_ids=[f"{i:016x}" for i in range(10)],
        settings={"family": "sd3", "guidance": 1.0, "truncation": {"seed": 0}},
    )


@pytest.fixture
def embeddings(pairs):
    generator = torch.Generator().manual_seed(2)
    tensors = {
        "prompt_embeds": torch.randn(10, 4, JOINT, generator=generator),
        "pooled": torch.randn(10, POOLED, generator=generator),
    }
    return Embeddings(tensors, pairs.prompt_ids, "test")


@pytest.fixture
def fatal(embeddings, pairs):
    def make(uses: int) -> Fatal:
        killer = Fatal(embeddings._tensors, pairs.prompt_ids, "test")
        killer.left = uses
        return killer

    return make


@pytest.fixture
def settings():
    """PNAPO at a size that learns something in eight steps; keywords override."""

    def make(**changes) -> Run:
        values = {
            "path": "stored",
            "loss": "dpo",
            "schedule": "dynamic",
            "beta": 50.0,
            "learning_rate": 1e-2,
            "steps": 8,
            "batch": 4,
            "lora_rank": 4,
            "lora_alpha": 4,
        }
        return Run(**values | changes)

    return make


@pytest.fixture
def trained(tmp_path, backbone_of, pairs, embeddings, settings):
    """Trains with changed settings and returns the checkpoint folder and the printed lines."""

    def make(name: str = "run", family: str = "sd3", **changes):
        lines: list[str] = []
        folder = tmp_path / "runs" / name
        backbone = changes.pop("backbone", None) or backbone_of(family)
        own = replace(pairs, settings={**pairs.settings, "family": backbone.family})
        train(
            backbone=backbone,
            pairs=changes.pop("pairs", own),
            embeddings=changes.pop("embeddings", embeddings),
            seed=changes.pop("seed", 0),
            draw_seed=changes.pop("draw_seed", 0),
            reference=changes.pop("reference_files", ()),
            stop=changes.pop("stop", None),
            tracker=changes.pop("tracker", None),
            watch=changes.pop("watch", None),
            run=settings(**changes),
            out=folder,
            log=lines.append,
        )
        return SimpleNamespace(folder=folder, lines=lines)

    return make


@pytest.fixture
def arguments(tmp_path, backbone_of, pairs, embeddings):
    """A pipeline folder, a pair set of one shard, its labels (one tie) and the prompt embeddings, all on disk."""
    noise, latent = torch.stack([pairs.xT_l, pairs.xT_w], 1), torch.stack([pairs.x0_l, pairs.x0_w], 1)
    scores = torch.stack([torch.zeros(10), pairs.gap.float()], 1)
    scores[3] = 0.0
    write_table(tmp_path / "hps.parquet", label(pairs.prompt_ids, scores.numpy()))
    metadata = {"prompt_ids": json.dumps(pairs.prompt_ids)}
    (tmp_path / "embeddings").mkdir()
    tensors = embeddings._tensors
    null = {f"null_{name}": value[:1] for name, value in tensors.items()}
    write_tensors(tmp_path / "embeddings" / "embeddings.safetensors", {**tensors, **null}, metadata)
    write_manifest(tmp_path / "embeddings", "embeddings", {}, ["embeddings.safetensors"])

    def write_backbone(family: str) -> Path:
        backbone = backbone_of(family)
        folder = Path(backbone.path)
        backbone.transformer.save_pretrained(folder / "transformer")
        write_json(folder / "model_index.json", {"transformer": ["diffusers", type(backbone.transformer).__name__]})
        wanted, shard = Pairs(shards=1), tmp_path / f"{family}-samples" / "shard-00000-of-00001.json"
        write_shard(shard, Shard(pairs.prompt_ids, noise, latent), pair_settings(backbone, wanted), seed=0)
        collect([shard], wanted, tmp_path / f"{family}-pairs.json")
        return folder

    def make(model: dict, run: dict, **more) -> list[str]:
        family = model.get("family", "sd3")
        model = {
            "family": family,
            "path": str(write_backbone(family)),
            "resolution": 16,
            "max_sequence_length": 4,
            **model,
        }
        options = {
            "pairs": tmp_path / f"{family}-pairs.json",
            "labels": tmp_path / "hps.parquet",
            "embeddings": tmp_path / "embeddings" / "manifest.json",
            "model": json.dumps(model),
            "run": json.dumps(run),
            "seed": 1,
            "draw-seed": 2,
            "device": "cpu",
            "out": tmp_path / "runs" / "sd3" / "pnapo-s1" / "manifest.json",
        }
        options |= more
        return [str(part) for name, value in options.items() for part in (f"--{name}", value)]

    return make
