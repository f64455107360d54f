"""A pair set: shards of noise and latents under one manifest that lists them, their hashes and the prompt order."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from pnapo.artifacts import read_manifest, require_intact, write_manifest
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.pairs.shards import SAMPLE_SETTINGS, open_shard, read_shard_manifest

KIND = "pairs"


def collect(shards: Sequence[Path], wanted: Pairs, out: Path) -> None:
    """Write the manifest of a pair set from its shards' manifests, in order.

    Raises UserError if a shard was made with other settings than `wanted` or the first shard, or repeats a prompt; names
    the shard.
    """
    settings, ids, seen, files = {}, [], set(), []
    for path in shards:
        manifest = read_shard_manifest(path)
        settings = settings or {**manifest["settings"], **wanted.model_dump(include=set(SAMPLE_SETTINGS))}
        if manifest["settings"] != settings:
            found = manifest["settings"]
            key = next(k for k in {**settings, **found} if found.get(k) != settings.get(k))
            raise UserError(
                f"{path}: made with {key} {found.get(key)} instead of {settings.get(key)}; delete it and run again"
            )
        for prompt_id in manifest["prompt_ids"]:
            if prompt_id in seen:
                raise UserError(
                    f"{path}: prompt {prompt_id} is in the pair set twice; make the shards of one list without repeats"
                )
            seen.add(prompt_id)
        ids += manifest["prompt_ids"]
        folder = Path(os.path.relpath(Path(path).parent, out.parent))
        files += [(folder / name).as_posix() for name in (Path(path).name, *manifest["files"])]
    write_manifest(out, KIND, settings, files, prompt_ids=ids, latent_shape=settings["latent_shape"])


class PairSet:
    """A pair set opened for reading; every file is checked against its hash once."""

    def __init__(self, manifest: dict, noise: torch.Tensor, latent: torch.Tensor):
        self.settings: dict = manifest["settings"]
        self.prompt_ids: list[str] = manifest["prompt_ids"]
        self.noise = noise
        self.latent = latent

    @classmethod
    def open(cls, path: Path | str) -> "PairSet":
        """Read the pair set of a manifest: noise and latent, float32 [N, S, C, h, w], in the order of `prompt_ids`.

        Raises UserError that names the file if one is missing or damaged.
        """
        path = Path(path)
        manifest = require_intact(path, KIND)
        shards = [open_shard(shard) for shard in shard_manifests(path)]
        ids = [prompt_id for shard in shards for prompt_id in shard.prompt_ids]
        if ids != manifest["prompt_ids"]:
            raise UserError(f"{path}: its shards hold other prompts, or in another order; delete it and run again")
        return cls(manifest, torch.cat([s.noise for s in shards]), torch.cat([s.latent for s in shards]))

    @property
    def samples(self) -> int:
        """Samples per prompt."""
        return self.noise.shape[1]


def shard_manifests(path: Path | str) -> list[Path]:
    """The manifests of a pair set's shards, in order."""
    names = read_manifest(path, KIND)["files"]
    return [Path(path).parent / name for name in sorted(names) if name.endswith(".json")]
