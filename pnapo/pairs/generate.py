"""Make noise-image pairs with the model that will be tuned (paper section 4.1): stored prior noise, Euler steps, latents.

A shard is made in batches that are kept as they finish, so that a killed job continues where it was. The result does not
depend on the number of shards, nor on where a job was killed.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pnapo.artifacts import read_json, read_tensors, write_json, write_tensors
from pnapo.backbones import Backbone
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.sampler import sample
from pnapo.pairs.shards import SAMPLE_SETTINGS, Shard, slice_of, write_shard


def noises(seed: int, prompt_ids: list[str], samples: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The prior noises of prompts, float32 [n, S, C, h, w], from the counter-based stream."""
    drawn = [[prior_noise(seed, prompt_id, index, shape) for index in range(samples)] for prompt_id in prompt_ids]
    return torch.from_numpy(np.array(drawn, np.float32).reshape(len(prompt_ids), samples, *shape))


def pair_settings(backbone: Backbone, settings: Pairs) -> dict:
    """What a sample depends on, besides its prompt: recorded in every shard, and equal within a pair set."""
    chosen = settings.model_dump(include=set(SAMPLE_SETTINGS))
    return {**chosen, "family": backbone.family, "model": backbone.path, "latent_shape": list(backbone.latent_shape)}


def generate_shard(
    backbone: Backbone,
    prompts: pd.DataFrame,
    embeddings: Embeddings,
    settings: Pairs,
    shard: int,
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Make shard number `shard` of `settings.shards` of a prompt table and write it with its manifest `out`.

    Finished batches lie in a hidden folder beside `out` until the shard is written; those of other settings are dropped.
    Raises UserError if the shard would be empty, or if a latent is not finite.
    """
    if shard >= min(settings.shards, len(prompts)):
        raise UserError(
            f"pairs.shards: shard {shard + 1} of {settings.shards} would hold none of {len(prompts)} prompts"
        )
    ids = list(prompts["prompt_id"].iloc[list(slice_of(len(prompts), shard, settings.shards))])
    made_with = pair_settings(backbone, settings)
    work = out.with_name(f".{out.stem}.work")
    plan = {"settings": made_with, "prompt_ids": ids}
    if (work / "plan.json").exists() and read_json(work / "plan.json") != plan:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / "plan.json", plan)
    null = embeddings.null() if backbone.true_guidance and settings.guidance > 1 else None
    group = max(1, settings.batch // settings.samples)
    start, made = time.monotonic(), 0
    parts = []
    for first in range(0, len(ids), group):
        chunk = ids[first : first + group]
        file = work / f"{first:07d}.safetensors"
        noise = noises(settings.seed, chunk, settings.samples, backbone.latent_shape)
        if not file.exists():
            rows = embeddings.rows([prompt_id for prompt_id in chunk for _ in range(settings.samples)])
            latents = sample(
                backbone,
                noise.flatten(0, 1),
                rows,
                steps=settings.steps,
                guidance=settings.guidance,
                batch=group * settings.samples,
                null=null,
            )
            if not torch.isfinite(latents).all():
                raise UserError(
                    f"{out}: the model made a latent that is not finite for prompts {', '.join(chunk[:3])} …"
                )
            write_tensors(file, {"latent": latents.view_as(noise)})
            made += len(chunk)
        parts.append((noise, read_tensors(file)["latent"]))
        done = first + len(chunk)
        if made and ((first // group) % 8 == 7 or done == len(ids)):
            left = (time.monotonic() - start) / made * (len(ids) - done)
            log(f"shard {shard + 1}/{settings.shards}: {done}/{len(ids)} prompts, {left:.0f} s left")
    noise, latent = (torch.cat(column) for column in zip(*parts))
    write_shard(out, Shard(ids, noise, latent), made_with, settings.seed)
    shutil.rmtree(work)
