"""Images of a user's own prompts: PNG files and a table that says which is which. With their noise they are a pair set."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pnapo.artifacts import atomic_path, read_manifest, require_intact, write_csv, write_table
from pnapo.artifacts.images import Images
from pnapo.backbones import Backbone, load_backbone
from pnapo.benchmarks.generation import generate_images
from pnapo.config.schema import Model, Pairs, TestSet
from pnapo.errors import UserError
from pnapo.pairs.embeddings import Embeddings, embed, read_embeddings
from pnapo.pairs.generate import generate_shard, pair_settings
from pnapo.pairs.images import decode_shard
from pnapo.pairs.layout import PROMPTS, SAMPLES, images_name, shard_name
from pnapo.pairs.shards import KIND as SHARD_KIND
from pnapo.pairs.shards import part_of, slice_of
from pnapo.pairs.store import collect

TABLE = "images.csv"
SHARD = 128  # prompts whose noises and latents are in memory at once


def generate(
    model: Model,
    prompts: pd.DataFrame,
    settings: TestSet,
    out: Path,
    *,
    policy: Path | None = None,
    keep_noise: bool = False,
    device: str = "cpu",
    log: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Make `settings.images` images of each prompt (columns prompt_id and prompt) in the folder `out`; returns its table.

    The table has image, prompt, seed and sample: the key of the prior noise is (seed, prompt, sample). `policy` is the folder
    of a checkpoint. With `keep_noise` the folder is a pair set as well. A killed job goes on where it was. Raises UserError if
    the folder holds images already, if the checkpoint is another model's, or if a pair set is asked for that cannot be one.
    """
    if (out / TABLE).exists():
        raise UserError(f"{out}: holds images already; name another folder, or remove it")
    work = out / ".work"
    if (out / "manifest.json").exists() and not work.exists():  # a killed job of ours has left it
        raise UserError(f"{out}: holds a pair set already; name another folder, or remove it")
    if keep_noise and settings.images < 2:
        raise UserError("--keep-noise: a pair set has 2 images of a prompt or more; raise --images")
    checkpoint = read_manifest(policy / "manifest.json", "checkpoint") if policy else None
    negative = bool(checkpoint and checkpoint["settings"]["negative"])
    if keep_noise and negative:
        raise UserError(
            f"{policy}: serves guidance alone, so that what it makes is no pair set; leave out --keep-noise"
        )
    embeddings = read_embeddings(embed(model, prompts, work, device))
    backbone = load_backbone(model, {"transformer", "vae"}, device)
    if policy:
        backbone.load_policy(policy / "manifest.json", negative=negative)
    if keep_noise:
        made = _pair_set(backbone, prompts, embeddings, settings, out, log)
    else:
        made = [work / "images" / "manifest.json"]
        generate_images(backbone, prompts, embeddings, settings, made[0], log)
    table = _write_files(Images(*made), prompts, settings.seed, out)
    shutil.rmtree(work)
    return table


def _pair_set(
    backbone: Backbone,
    prompts: pd.DataFrame,
    embeddings: Embeddings,
    settings: TestSet,
    out: Path,
    log: Callable[[str], None],
) -> list[Path]:
    """Make the folder of a pair set; returns the manifests of its images."""
    count = -(-len(prompts) // SHARD)
    wanted = settings.model_dump(include={"steps", "guidance", "seed", "batch"})
    pairs = Pairs(samples=settings.images, shards=count, **wanted)
    shards = [out / SAMPLES / f"{shard_name(number, count)}.json" for number in range(count)]
    images = [out / images_name(number, count) / "manifest.json" for number in range(count)]
    made_with, ids = pair_settings(backbone, pairs), list(prompts["prompt_id"])
    for number, (shard, pictures) in enumerate(zip(shards, images)):
        if not _is_made(shard, made_with, part_of(ids, slice_of(len(ids), number, count))):
            generate_shard(backbone, prompts, embeddings, pairs, number, shard, log)
        decode_shard(backbone, shard, pictures, log)
    write_table(out / PROMPTS, prompts[["prompt_id", "prompt"]])
    collect(shards, pairs, out / "manifest.json")
    return images


def _is_made(shard: Path, settings: dict, part: dict) -> bool:
    """Whether a killed job has left this shard whole."""
    try:
        found = require_intact(shard, SHARD_KIND)
    except UserError:
        return False
    return (found["settings"], found.get("part")) == (settings, part)


def _write_files(images: Images, prompts: pd.DataFrame, seed: int, out: Path) -> pd.DataFrame:
    texts, order = (
        dict(zip(prompts["prompt_id"], prompts["prompt"])),
        {p: i for i, p in enumerate(prompts["prompt_id"])},
    )
    table = images.table.assign(prompt=images.table["prompt_id"].map(texts), seed=seed)
    table["image"] = [f"{order[p]:05d}-{k}.png" for p, k in zip(table["prompt_id"], table["sample"])]
    for name, png in zip(table["image"], images.encoded(), strict=True):
        with atomic_path(out / name) as temporary:
            temporary.write_bytes(png)
    table = table[["image", "prompt", "seed", "sample"]]
    write_csv(out / TABLE, table)
    return table
