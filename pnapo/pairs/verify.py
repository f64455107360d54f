"""Prove a pair set intact: every file is what its manifest says, every noise what its key says.

Images from elsewhere have no noise and cannot be made again: of them the hashes and the shapes are proven, no more.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from pnapo.artifacts import verify_manifest
from pnapo.errors import UserError
from pnapo.pairs.generate import noises
from pnapo.pairs.shards import KIND as SHARD
from pnapo.pairs.shards import Shard, open_shard, read_shard_manifest
from pnapo.pairs.store import KIND, read_pairs_manifest, shard_manifests


def verify_pairs(path: Path | str) -> list[str]:
    """What is wrong with a pair set, one line each that names file and, where it can be told, prompt; empty if intact.

    Checks hashes, prompt order, that every prior noise equals its stream bit for bit, and that latents are finite. Of a
    tensor file with a wrong hash that can still be read, it also names the prompts whose noise or latent is bad.
    """
    manifest = read_pairs_manifest(path)
    problems = verify_manifest(path, KIND)
    ids: list[str] = []
    for shard_manifest in shard_manifests(path):
        if any(line.startswith(f"{shard_manifest}: ") for line in problems):
            continue  # what it says about its tensors is worth nothing
        found = _verify_tensors(
            shard_manifest, {**manifest["settings"], "latent_shape": manifest["latent_shape"]}, problems
        )
        ids += found or []
    if not problems and ids != manifest["prompt_ids"]:
        problems.append(f"{path}: its shards hold other prompts, or in another order")
    return problems


def verify_shard(path: Path | str) -> list[str]:
    """The same of one shard."""
    problems = verify_manifest(path, SHARD)
    manifest = read_shard_manifest(path)
    settings = {**manifest["settings"], "latent_shape": manifest["latent_shape"]}
    _verify_tensors(Path(path), settings, problems)
    return problems


def _verify_tensors(manifest: Path, settings: dict, problems: list[str]) -> list[str] | None:
    """Add what is wrong with a shard's tensors to `problems`, and return its prompt ids; None if it cannot be read."""
    file = manifest.with_suffix(".safetensors")
    try:
        shard = open_shard(manifest, check=False)
    except UserError as error:
        if not any(line.startswith(f"{file}: ") for line in problems):
            problems.append(str(error))
        return None
    problems += problems_of(shard, settings, file)
    return shard.prompt_ids


def problems_of(shard: Shard, settings: dict, file: Path) -> Iterator[str]:
    """What is wrong with the tensors of a shard made with `settings`: shapes, noises, numbers. `file` is named."""
    shape = tuple(settings["latent_shape"])
    expected = (len(shard.prompt_ids), settings["samples"], *shape)
    if shard.latent.shape != expected:
        yield f"{file}: tensors of shape {list(shard.latent.shape)} instead of {list(expected)}"
        return
    for row, prompt_id in enumerate(shard.prompt_ids):
        if {"inversion", "truncation"} & settings.keys():  # the noises are computed, not drawn
            if not torch.isfinite(shard.noise[row]).all():
                yield f"{file}: the computed noise of prompt {prompt_id} is not finite"
        elif "dataset" not in settings:
            (drawn,) = noises(settings["seed"], [prompt_id], settings["samples"], shape)
            if not torch.equal(shard.noise[row].view(torch.int32), drawn.view(torch.int32)):  # bits: −0 is not 0
                yield f"{file}: the prior noise of prompt {prompt_id} is not what its key says"
        if not torch.isfinite(shard.latent[row]).all():
            yield f"{file}: the latent of prompt {prompt_id} is not finite"
