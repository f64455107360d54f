"""A small pair set of twelve prompts, made by an untrained tiny SD3."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

from pnapo.artifacts import prompt_id, write_table
from pnapo.config.schema import Pairs

TEXTS = [f"a photo of {what}" for what in ("a ring", "two stars", "a cross", "<b>naïve 😀</b>\nline", *"abcdefgh")]


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


@pytest.fixture(scope="session")
def decoded(world, made, tmp_path_factory):
    """The manifests of the images of the pair set's shards."""
    from pnapo.pairs.images import decode_shard
    from pnapo.pairs.store import shard_manifests

    folder = tmp_path_factory.mktemp("images")
    manifests = [folder / shard.stem / "manifest.json" for shard in shard_manifests(made)]
    for shard, out in zip(shard_manifests(made), manifests):
        decode_shard(world.backbone, shard, out, lambda line: None)
    return manifests


@pytest.fixture
def manifest(made, tmp_path):
    """The manifest of a copy of the pair set, to be damaged."""
    shutil.copytree(made.parent, tmp_path / "pairs")
    return tmp_path / "pairs" / "manifest.json"
