"""What tests of several packages share: untrained tiny models on disk, a small pair set made by one, and the scripts."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from pnapo.artifacts import prompt_id, write_table
from pnapo.config.schema import Model, Pairs, Reward

SCRIPTS = Path(__file__).parents[1] / "workflow_scripts"
TEXTS = [f"a photo of {what}" for what in ("a ring", "two stars", "a cross", "<b>naïve 😀</b>\nline", *"abcdefgh")]


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that no worker ends up alone with one while the others have nothing left."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Configuration sections of an untrained tiny SD3 and FLUX."""
    import torch

    from pnapo.world.bases import new_flux, new_sd3
    from pnapo.world.vae import new_vae

    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = new_vae()
    vae.register_to_config(scaling_factor=0.7, shift_factor=-0.05)
    found = {}
    for family, new in (("sd3", new_sd3), ("flux", new_flux)):
        folder = tmp_path_factory.mktemp(family)
        new(vae, 0).save_pretrained(folder)
        found[family] = Model(family=family, path=str(folder), resolution=32, max_sequence_length=20)
    return found


def write_imagereward(folder: Path, tokenizer: Path) -> None:
    """Untrained weights, sizes and vocabulary in the files of THUDM/ImageReward and bert-base-uncased."""
    import torch

    from pnapo.rewards.blip import ImageEncoder
    from pnapo.rewards.imagereward import Network

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "x", "2", "$", "^", "<", ">", "/"]
    words += ["photo", "of", "two", "star", "##s", "ring", "cross", "naive"]
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("".join(f"{word}\n" for word in words), "utf-8")
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 512}))
    config = {
        **{"hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64},
        **{"vocab_size": len(words) + 2, "max_position_embeddings": 40, "layer_norm_eps": 1e-12, "hidden_act": "gelu"},
        **{"pad_token_id": 0, "type_vocab_size": 2, "initializer_range": 0.02, "model_type": "bert"},
        **{"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1},
        **{"architectures": ["BertModel"], "encoder_width": 768, "add_cross_attention": True},
    }
    folder.mkdir()
    (folder / "med_config.json").write_text(json.dumps(config))
    torch.manual_seed(4)
    network = Network(ImageEncoder(width=128, hidden=512, layers=2, patch=16, tokens=5), config)
    for name, parameter in network.named_parameters():
        scale = {
            "mean": float("norm" in name.lower() and "weight" in name),
            "std": 0.1 if "mlp.layers" in name else 0.2,
        }
        torch.nn.init.normal_(parameter, **scale)
    beside = {
        "blip.text_encoder.embeddings.position_ids": torch.arange(40)[None],
        **{"blip.vision_proj.weight": torch.zeros(256, 128), "blip.vision_proj.bias": torch.zeros(256)},
        **{"blip.text_proj.weight": torch.zeros(256, 48), "blip.text_proj.bias": torch.zeros(256)},
    }
    torch.save({**beside, **network.state_dict()}, folder / "ImageReward.pt")


@pytest.fixture(scope="session")
def rewards(tmp_path_factory):
    """Configuration sections of the rewards, untrained and tiny."""
    import torch
    from safetensors.torch import save_model

    from pnapo.rewards.head import Head
    from pnapo.world.clip import new_open_clip, new_transformers_clip, write_open_clip_folder

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("rewards")
    folders = {name: root / name for name in ("clip", "hps", "pickscore")}
    for seed, name in enumerate(("clip", "hps")):
        folders[name].mkdir()
        write_open_clip_folder(folders[name])
        network = new_open_clip(folders[name], seed)
        if name == "clip":
            save_model(network, str(folders[name] / "open_clip_model.safetensors"))
        else:
            torch.save({"state_dict": network.state_dict()}, root / "hps.pt")
    for part in new_transformers_clip(2):
        part.save_pretrained(folders["pickscore"])
    torch.manual_seed(3)
    torch.save(Head(64).state_dict(), root / "aesthetic.pth")
    write_imagereward(root / "imagereward", root / "bert")
    clip, hps = (f"local-dir:{folders[name]}" for name in ("clip", "hps"))
    return {
        "clip": Reward(kind="clip", model=clip),
        "hps": Reward(kind="hps", model=hps, checkpoint=str(root / "hps.pt")),
        "pickscore": Reward(kind="pickscore", model=str(folders["pickscore"])),
        "aesthetic": Reward(kind="aesthetic", model=clip, checkpoint=str(root / "aesthetic.pth")),
        "imagereward": Reward(kind="imagereward", model=str(root / "imagereward"), tokenizer=str(root / "bert")),
    }


@pytest.fixture
def script():
    """script(name, *arguments) runs a workflow script's main."""

    def run(name, *arguments):
        runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]([str(a) for a in arguments])

    return run


@pytest.fixture(scope="session")
def world(models, tmp_path_factory):
    """The prompt table, its embeddings and the backbone (transformer and vae)."""
    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings, write_embeddings

    folder = tmp_path_factory.mktemp("prompts")
    prompts = pd.DataFrame({"prompt_id": [prompt_id(text) for text in TEXTS], "prompt": TEXTS})
    write_table(folder / "prompts.parquet", prompts)
    write_embeddings(load_backbone(models["sd3"], {"text"}), folder / "prompts.parquet", folder / "manifest.json")
    return SimpleNamespace(
        folder=folder,
        table=folder / "prompts.parquet",
        prompts=prompts,
        embeddings=read_embeddings(folder / "manifest.json"),
        backbone=load_backbone(models["sd3"], {"transformer", "vae"}),
        settings=Pairs(samples=2, steps=2, batch=4, shards=2),
    )


@pytest.fixture(scope="session")
def generate(world):
    """generate(folder, prompts=…, **settings) makes the shards in `folder` and returns their manifests."""
    from pnapo.pairs.generate import generate_shard

    def make(folder, prompts=None, **changes):
        settings = world.settings.model_copy(update=changes)
        prompts = world.prompts if prompts is None else prompts
        shards = [folder / f"shard-{k:05d}-of-{settings.shards:05d}.json" for k in range(settings.shards)]
        for number, out in enumerate(shards):
            generate_shard(world.backbone, prompts, world.embeddings, settings, number, out, lambda line: None)
        return shards

    return make


@pytest.fixture(scope="session")
def made(world, generate, tmp_path_factory):
    """The manifest of the pair set; not to be changed."""
    from pnapo.pairs.store import collect

    folder = tmp_path_factory.mktemp("pairs")
    collect(generate(folder / "samples"), world.settings, folder / "manifest.json")
    return folder / "manifest.json"
