"""One shard of a pair set: the prior noise and final latent of each sample, in one safetensors file.

Tensors "noise" and "latent", float32 [n, S, C, h, w]; the metadata holds the prompt ids and the noise seed. Beside the
file lies its manifest, which is what the workflow sees.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from pnapo.artifacts import read_manifest, read_metadata, read_tensors, require_intact, write_manifest, write_tensors
from pnapo.errors import UserError

KIND = "shard"
SAMPLE_SETTINGS = ("samples", "steps", "guidance", "seed", "batch")  # the settings of `pairs` that a sample depends on


@dataclass(frozen=True)
class Shard:
    """A shard in memory: prompt ids [n], noise and latent [n, S, C, h, w]."""

    prompt_ids: list[str]
    noise: torch.Tensor
    latent: torch.Tensor


def slice_of(count: int, shard: int, shards: int) -> range:
    """The rows of a prompt list of `count` that shard number `shard` of `shards` holds (contiguous, sizes differ by ≤ 1)."""
    small, extra = divmod(count, shards)
    start = shard * small + min(shard, extra)
    return range(start, start + small + (shard < extra))


def write_shard(manifest: Path | str, shard: Shard, settings: dict, seed: int) -> None:
    """Write the tensors beside `manifest`, then the manifest."""
    manifest = Path(manifest)
    file = manifest.with_suffix(".safetensors")
    metadata = {"prompt_ids": json.dumps(shard.prompt_ids), "seed": str(seed)}
    write_tensors(file, {"noise": shard.noise, "latent": shard.latent}, metadata)
    write_manifest(
        manifest, KIND, settings, [file.name], prompt_ids=shard.prompt_ids, latent_shape=list(shard.noise.shape[2:])
    )


def open_shard(manifest: Path | str) -> Shard:
    """Read a shard. Raises UserError that names the file if it is missing, damaged or not what its manifest says."""
    manifest = Path(manifest)
    content = require_intact(manifest, KIND)
    (name,) = content["files"]
    file = manifest.parent / name
    prompt_ids = json.loads(read_metadata(file).get("prompt_ids", "[]"))
    if prompt_ids != content["prompt_ids"]:
        raise UserError(f"{file}: holds other prompts than {manifest} lists; delete both and run again")
    tensors = read_tensors(file)
    return Shard(prompt_ids, tensors["noise"], tensors["latent"])


def read_shard_manifest(manifest: Path | str) -> dict:
    """The manifest of a shard, unchecked against its file."""
    return read_manifest(manifest, KIND)
