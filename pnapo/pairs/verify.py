"""Prove a pair set intact: every file is what its manifest says, every noise what its key says."""

from pathlib import Path

import torch

from pnapo.artifacts import read_manifest, verify_manifest
from pnapo.errors import UserError
from pnapo.pairs.generate import noises
from pnapo.pairs.shards import open_shard
from pnapo.pairs.store import KIND, shard_manifests


def verify_pairs(path: Path | str) -> list[str]:
    """What is wrong with a pair set, one line each; empty if it is intact.

    Checks hashes, prompt order, that every prior noise equals its stream bit for bit, and that latents are finite.
    """
    problems = verify_manifest(path, KIND)
    if problems:
        return problems
    manifest = read_manifest(path, KIND)
    settings, shape = manifest["settings"], tuple(manifest["latent_shape"])
    ids: list[str] = []
    for file in shard_manifests(path):
        try:
            shard = open_shard(file)
        except UserError as error:
            problems.append(str(error))
            continue
        ids += shard.prompt_ids
        expected = noises(settings["seed"], shard.prompt_ids, settings["samples"], shape)
        if shard.noise.shape != expected.shape or shard.latent.shape != expected.shape:
            problems.append(f"{file}: tensors of shape {list(shard.noise.shape)} instead of {list(expected.shape)}")
            continue
        for row in torch.unique((shard.noise != expected).flatten(1).any(1).nonzero()).tolist():
            problems.append(f"{file}: the prior noise of prompt {shard.prompt_ids[row]} is not what its key says")
        for row in torch.unique((~torch.isfinite(shard.latent)).flatten(1).any(1).nonzero()).tolist():
            problems.append(f"{file}: the latent of prompt {shard.prompt_ids[row]} is not finite")
    if ids != manifest["prompt_ids"]:
        problems.append(f"{path}: its shards hold other prompts, or in another order")
    return problems
