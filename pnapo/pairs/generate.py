"""Make noise-image pairs with the model that will be tuned (paper section 4.1): stored prior noise, Euler steps, latents.

Finished parts of a shard are kept, so that a killed job goes on where it was. Every forward pass has the same batch size, so
that a sample depends on its prompt, its key and the settings alone: not on the number of shards, the order of prompts, or where
a job was killed.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pnapo.artifacts.parts import parts_of
from pnapo.backbones import Backbone
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.sampler import sample
from pnapo.pairs.shards import SAMPLE_SETTINGS, Shard, part_of, shard_writer, slice_of, whole_prompts


def noises(seed: int, prompt_ids: list[str], samples: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The prior noises of prompts, float32 [n, S, C, h, w], from the counter-based stream."""
    out = np.empty((len(prompt_ids), samples, *shape), np.float32)
    for row, prompt_id in enumerate(prompt_ids):
        for index in range(samples):
            out[row, index] = prior_noise(seed, prompt_id, index, shape)
    return torch.from_numpy(out)


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """The SHA-256 of named tensors: names, types, shapes and bits."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach()
        found.update(f"{name}:{value.dtype}:{list(value.shape)}".encode())
        found.update(value.cpu().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def pair_settings(backbone: Backbone, settings: Pairs) -> dict:
    """What a sample depends on, besides its prompt: recorded in every shard, and equal within a pair set."""
    return {
        **settings.model_dump(include=set(SAMPLE_SETTINGS)),
        "family": backbone.family,
        "model": backbone.path,
        "weights": digest_of(backbone.transformer.state_dict()),
        "latent_shape": list(backbone.latent_shape),
    }


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

    A killed job goes on where it was. Raises UserError if the shard would be empty, or if a latent is not finite.
    """
    if not 0 <= shard < min(settings.shards, len(prompts)):
        raise UserError(
            f"pairs.shards: shard {shard + 1} of {settings.shards} would hold none of {len(prompts)} prompts"
        )
    listed = list(prompts["prompt_id"])
    whole = slice_of(len(listed), shard, settings.shards)
    ids = listed[whole.start : whole.stop]
    made_with = pair_settings(backbone, settings)
    null = embeddings.null()
    made_from = [made_with, dict(backbone.scheduler_config), ids, digest_of(null), digest_of(embeddings.rows(ids[:1]))]

    count, shape = settings.samples, tuple(backbone.latent_shape)

    def make(rows: range) -> dict[str, torch.Tensor]:
        owners = [ids[row // count] for row in rows]
        drawn = [prior_noise(settings.seed, owner, row % count, shape) for owner, row in zip(owners, rows)]
        found = sample(
            backbone,
            torch.from_numpy(np.stack(drawn)),
            embeddings.rows(owners),
            steps=settings.steps,
            guidance=settings.guidance,
            batch=settings.batch,
            null=null if backbone.true_guidance and settings.guidance > 1 else None,
        )
        bad = [owner for owner, x in zip(owners, found) if not torch.isfinite(x).all()]
        if bad:
            some = ", ".join(list(dict.fromkeys(bad))[:3])
            raise UserError(f"{out}: the model made a latent that is not finite for prompts {some} …")
        return {"latent": found}

    told = f"shard {shard + 1}/{settings.shards}: samples"
    about = {"seed": settings.seed, "part": part_of(listed, whole)}
    with (
        parts_of(out, made_from, __file__, log) as parts,
        shard_writer(out, ids, (count, *shape), made_with, **about) as put,
    ):
        for rows, found in whole_prompts(parts.each(len(ids) * count, settings.batch, make, told), count):
            some = ids[rows.start : rows.stop]
            put(rows.start, Shard(some, noises(settings.seed, some, count, shape), found["latent"]))
