"""Make noise-image pairs with the model that will be tuned (paper section 4.1): stored prior noise, Euler steps, latents.

A shard is made in batches that are kept as they finish, so that a killed job continues where it was. Every forward pass
has the same batch size, so that a sample depends on its prompt, its key and the settings alone: not on the number of
shards, the order of prompts, or where a job was killed.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError

from pnapo.artifacts import read_tensors, write_tensors
from pnapo.backbones import Backbone
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.sampler import sample
from pnapo.pairs.shards import SAMPLE_SETTINGS, Shard, part_of, slice_of, write_shard

REPORT_EVERY = 8  # batches between two lines of progress


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

    Finished batches lie in a hidden folder beside `out` until the shard is written; those made with other settings, other
    weights or for other prompts are not used. Raises UserError if the shard would be empty, or if a latent is not finite.
    """
    if not 0 <= shard < min(settings.shards, len(prompts)):
        raise UserError(
            f"pairs.shards: shard {shard + 1} of {settings.shards} would hold none of {len(prompts)} prompts"
        )
    listed = list(prompts["prompt_id"])
    rows = slice_of(len(listed), shard, settings.shards)
    ids = listed[rows.start : rows.stop]
    made_with = pair_settings(backbone, settings)
    null = embeddings.null()
    plan = [made_with, ids, digest_of(null), digest_of(embeddings.rows(ids[:1]))]
    finished = _Finished(out.with_name(f".{out.stem}.work"), plan)

    noise = noises(settings.seed, ids, settings.samples, backbone.latent_shape)
    latent = torch.empty_like(noise)
    samples, latents = noise.flatten(0, 1), latent.flatten(0, 1)  # one row each sample, prompt by prompt
    start, made = time.monotonic(), 0
    for number, first in enumerate(range(0, len(samples), settings.batch)):
        which = range(first, min(first + settings.batch, len(samples)))
        part = finished.read(first, samples[which.start : which.stop].shape)
        if part is None:
            owners = [ids[row // settings.samples] for row in which]
            part = sample(
                backbone,
                samples[which.start : which.stop],
                embeddings.rows(owners),
                steps=settings.steps,
                guidance=settings.guidance,
                batch=settings.batch,
                null=null if backbone.true_guidance and settings.guidance > 1 else None,
            )
            bad = [owner for owner, x in zip(owners, part) if not torch.isfinite(x).all()]
            if bad:
                some = ", ".join(list(dict.fromkeys(bad))[:3])
                raise UserError(f"{out}: the model made a latent that is not finite for prompts {some} …")
            finished.keep(first, part)
            made += len(which)
        latents[which.start : which.stop] = part
        done = which.stop
        if made and (number % REPORT_EVERY == REPORT_EVERY - 1 or done == len(samples)):
            left = (time.monotonic() - start) / made * (len(samples) - done)
            prefix = f"shard {shard + 1}/{settings.shards}"
            log(f"{prefix}: {done // settings.samples}/{len(ids)} prompts, {left:.0f} s left")
    write_shard(out, Shard(ids, noise, latent), made_with, settings.seed, part_of(listed, rows))
    finished.clear()


class _Finished:
    """The finished batches of a shard, in a folder; their names carry a digest of what they were made from.

    Another process may make the same shard at the same time (an orphan of a killed workflow), and clear the folder first.
    """

    def __init__(self, folder: Path, plan: list):
        self._folder = folder
        self._key = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]

    def _file(self, first: int) -> Path:
        return self._folder / f"{self._key}-{first:08d}.safetensors"

    def read(self, first: int, shape: torch.Size) -> torch.Tensor | None:
        """The latents [n, C, h, w] from row `first`, or None if they are not there or damaged."""
        try:
            latent = read_tensors(self._file(first)).get("latent")
        except UserError:
            return None
        return latent if latent is not None and latent.shape == shape else None

    def keep(self, first: int, latent: torch.Tensor) -> None:
        try:
            write_tensors(self._file(first), {"latent": latent})
        except (OSError, SafetensorError):
            if self._folder.exists():  # else the other process is done and has cleared up
                raise

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
