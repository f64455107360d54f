"""A pair set: shards of noise and latents under one manifest that lists them, their hashes and the prompt order.

An opened pair set is mapped from its files: rows are read when they are asked for, so that a set larger than the memory
can be labelled and checked.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from copy import copy
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from pnapo.artifacts import read_manifest, require_intact, require_whole, write_manifest
from pnapo.config.schema import Dataset, Pairs
from pnapo.errors import UserError
from pnapo.flow.random import stream
from pnapo.pairs.shards import KIND as SHARD
from pnapo.pairs.shards import Shard, asked_of, open_shard, read_shard_manifest, require_samples

KIND = "pairs"


def collect(shards: Sequence[Path], wanted: Pairs | Dataset, out: Path) -> None:
    """Write the manifest of a pair set from its shards' manifests, in order.

    Raises UserError that names the shard if one was made with other settings than `wanted` or the first shard, is of
    another prompt list, repeats a prompt, or is missing.
    """
    settings, whole, ids, seen, files, names = {}, {}, [], set(), [], []
    for path in map(Path, shards):
        require_intact(path, SHARD)  # else the pair set would vouch for what is damaged
        manifest = read_shard_manifest(path)
        settings = settings or {**manifest["settings"], **asked_of(wanted)}
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
        part = dict(manifest["part"])
        first = part.pop("first")
        whole = whole or part
        if part != whole:
            raise UserError(f"{path}: made for another prompt list than {shards[0]}; delete it and run again")
        if first != len(ids):
            raise UserError(
                f"{path}: begins with prompt {first + 1} of {part['of']}, but prompt {len(ids) + 1} comes next; "
                "a shard is missing or out of order"
            )
        ids += manifest["prompt_ids"]
        folder = Path(os.path.relpath(path.parent, out.parent))
        names.append((folder / path.name).as_posix())
        files += [names[-1], *((folder / name).as_posix() for name in manifest["files"])]
    if len(ids) != whole["of"]:
        raise UserError(f"{path}: ends with prompt {len(ids)} of {whole['of']}; the shards after it are missing")
    write_manifest(out, KIND, settings, files, prompt_ids=ids, latent_shape=settings["latent_shape"], shards=names)


class PairSet:
    """A pair set opened for reading, in the order of `prompt_ids`.

    The tensors of a shard are checked against their hash when they are first read, once in a process: a job begins before
    all of a large set has been read.
    """

    def __init__(self, path: Path | str, manifest: dict, shards: Sequence[Shard]):
        self.settings: dict = manifest["settings"]
        self.prompt_ids: list[str] = manifest["prompt_ids"]
        self._path, self._shards = path, shards
        names = [Path(name).with_suffix(".safetensors").as_posix() for name in manifest["shards"]]
        # A file that is not listed is refused when it is read.
        tensors = [manifest["files"].get(name, {}).get("sha256") for name in names]
        told = json.dumps([self.settings, self.prompt_ids, tensors], sort_keys=True)
        self.digest = hashlib.sha256(told.encode()).hexdigest()  # of all that it holds, wherever it lies
        self._unproven = dict(enumerate(names))  # shard number → the file that has not been checked yet
        self._starts = [0, *accumulate(len(shard.prompt_ids) for shard in shards)]
        self._noise_of = np.arange(len(self.prompt_ids))  # whose noise each prompt has

    @classmethod
    def open(cls, path: Path | str) -> "PairSet":
        """Open the pair set of a manifest. Raises UserError that names the file if one is missing or damaged.

        So do `noise` and `latent`, where the damage is in the tensors of a shard.
        """
        manifest = read_pairs_manifest(path)
        require_whole(path, KIND)
        require_intact(path, KIND, only=manifest["shards"])
        shards = [open_shard(shard, check=False) for shard in shard_manifests(path)]
        if [prompt_id for shard in shards for prompt_id in shard.prompt_ids] != manifest["prompt_ids"]:
            raise UserError(f"{path}: its shards hold other prompts, or in another order; delete it and run again")
        shape = [manifest["settings"]["samples"], *manifest["latent_shape"]]
        odd = next((shard for shard in shards if list(shard.latent.shape[1:]) != shape), None)
        if odd:
            raise UserError(f"{path}: a shard holds samples of shape {list(odd.latent.shape[1:])} instead of {shape}")
        return cls(path, manifest, shards)

    def shuffled(self, seed: int) -> "PairSet":
        """This pair set, but every prompt has the noises of another: the next in one random cycle through all prompts.

        Raises UserError if there is only one prompt.
        """
        if len(self) < 2:
            raise UserError("path shuffled: a pair set of one prompt has no other prompt's noise; make more pairs")
        order = stream("shuffle", seed).permutation(len(self))
        found = copy(self)
        found._noise_of = np.empty_like(order)
        found._noise_of[order] = np.roll(order, -1)
        return found

    def __len__(self) -> int:
        return len(self.prompt_ids)

    @property
    def samples(self) -> int:
        """Samples per prompt."""
        return self.settings["samples"]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(C, h, w) of a latent."""
        return tuple(self._shards[0].latent.shape[2:])

    def noise(self, rows: Iterable[int], samples: Iterable[int] | None = None) -> torch.Tensor:
        """Prior noises of prompts, float32 [n, S, C, h, w], or of one sample of each, [n, C, h, w].

        Of images from elsewhere, which have none, C = h = w = 0.
        """
        return self._gather("noise", self._noise_of[list(rows)], samples)

    def latent(self, rows: Iterable[int], samples: Iterable[int] | None = None) -> torch.Tensor:
        """Latents of prompts, float32 [n, S, C, h, w], or of one sample of each, [n, C, h, w]."""
        return self._gather("latent", rows, samples)

    def _gather(self, name: str, rows: Iterable[int], samples: Iterable[int] | None) -> torch.Tensor:
        rows = [int(row) for row in rows]
        chosen = [slice(None)] * len(rows) if samples is None else [int(sample) for sample in samples]
        shape = tuple(getattr(self._shards[0], name).shape[2:])
        out = torch.empty(len(rows), *(shape if samples is not None else (self.samples, *shape)))
        for place, (row, sample) in enumerate(zip(rows, chosen, strict=True)):
            number = bisect_right(self._starts, row) - 1
            if number in self._unproven:
                require_intact(self._path, KIND, only=[self._unproven[number]])
                del self._unproven[number]
            out[place] = getattr(self._shards[number], name)[row - self._starts[number]][sample]
        return out


def read_pairs_manifest(path: Path | str) -> dict:
    """The manifest of a pair set, unchecked against its files. Raises UserError if it is none."""
    manifest = read_manifest(path, KIND)
    shards = manifest.get("shards")
    if not isinstance(shards, list) or not shards or not all(name in manifest["files"] for name in map(str, shards)):
        raise UserError(f"{path}: not the manifest of a pair set as this version writes it; delete it and run again")
    require_samples(path, manifest)
    return manifest


def shard_manifests(path: Path | str) -> list[Path]:
    """The manifests of a pair set's shards, in order."""
    return [Path(path).parent / name for name in read_pairs_manifest(path)["shards"]]
