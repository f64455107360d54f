"""One shard of a pair set: the prior noise and final latent of each sample, in one safetensors file.

Tensors "noise" and "latent", float32 [n, S, C, h, w]; the metadata holds the prompt ids and the noise seed. Images from
elsewhere have a latent alone. Beside the file lies its manifest, which is what the workflow sees: settings, prompt ids, and
which part of a prompt list this is.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from pnapo.artifacts import (
    read_manifest,
    read_metadata,
    read_tensors,
    require_intact,
    tensor_writer,
    write_manifest,
    write_tensors,
)
from pnapo.config.schema import Dataset, Pairs
from pnapo.errors import UserError

KIND = "shard"
SAMPLE_SETTINGS = ("samples", "steps", "guidance", "seed", "batch")  # the settings of `pairs` that a sample depends on


@dataclass(frozen=True)
class Shard:
    """A shard in memory: prompt ids [n], noise and latent [n, S, C, h, w]. One that was read is mapped from its file.

    Without noise, `noise` is [n, S, 0, 0, 0]: whatever asks for it by mistake finds no number in it.
    """

    prompt_ids: list[str]
    noise: torch.Tensor
    latent: torch.Tensor

    @classmethod
    def without_noise(cls, prompt_ids: list[str], latent: torch.Tensor) -> "Shard":
        """A shard of images from elsewhere."""
        return cls(prompt_ids, latent.new_empty(*latent.shape[:2], 0, 0, 0), latent)


def asked_of(wanted: Pairs | Dataset) -> dict:
    """The settings of a shard that the configuration asks for."""
    if isinstance(wanted, Pairs):
        return wanted.model_dump(include=set(SAMPLE_SETTINGS))
    return {"guidance": wanted.guidance, "dataset": wanted.model_dump(exclude={"guidance"})}


def asked_by(settings: dict) -> Pairs | Dataset:
    """The section of the configuration that a shard of these settings was made for (`asked_of`)."""
    if "dataset" in settings:
        return Dataset(**settings["dataset"], guidance=settings["guidance"])
    return Pairs(**{name: settings[name] for name in SAMPLE_SETTINGS})


def slice_of(count: int, shard: int, shards: int) -> range:
    """The rows of a prompt list of `count` that shard number `shard` of `shards` holds (contiguous, sizes differ by ≤ 1)."""
    small, extra = divmod(count, shards)
    start = shard * small + min(shard, extra)
    return range(start, start + small + (shard < extra))


def part_of(prompt_ids: Sequence[str], rows: range) -> dict:
    """How a shard fits into its prompt list: its first row, the length of the list, and the list's SHA-256."""
    digest = hashlib.sha256("\n".join(prompt_ids).encode()).hexdigest()
    return {"first": rows.start, "of": len(prompt_ids), "list": digest}


@contextmanager
def shard_writer(
    manifest: Path | str,
    prompt_ids: Sequence[str],
    shape: Sequence[int],
    settings: dict,
    *,
    noise: bool = True,
    seed: int | None = None,
    part: dict | None = None,
) -> Iterator[Callable[[int, "Shard"], None]]:
    """Write the tensors beside `manifest` prompts by prompts, then the manifest; nothing if the block fails.

    `put(row, part)` takes a shard of the prompts from `row` on; `shape` is (S, C, h, w). Without a `part` (of `part_of`) it
    is a whole prompt list.
    """
    manifest, prompt_ids = Path(manifest), list(prompt_ids)
    names = ["noise", "latent"] if noise else ["latent"]
    layout = {name: (torch.float32, (len(prompt_ids), *shape)) for name in names}
    with tensor_writer(manifest.with_suffix(".safetensors"), layout, _metadata(prompt_ids, seed)) as put:
        yield lambda row, shard: [put(name, row, getattr(shard, name)) for name in names]
    _write_manifest(manifest, prompt_ids, shape, settings, part)


def whole_prompts(
    parts: Iterable[tuple[range, Mapping[str, torch.Tensor]]], samples: int
) -> Iterator[tuple[range, dict[str, torch.Tensor]]]:
    """Parts of samples (tensors [k, C, h, w]) in order, put together to prompts: their rows, and tensors [n, samples, C, h, w].

    What is held does not grow with their number: a part, and the samples of a prompt that the one before did not complete.
    """
    begun: dict[str, torch.Tensor] = {}
    first = 0
    for _, part in parts:
        found = {name: torch.cat([begun[name], value]) if begun else value for name, value in part.items()}
        complete = min(map(len, found.values())) // samples
        begun = {name: value[complete * samples :] for name, value in found.items()}
        if complete:
            whole = {name: value[: complete * samples] for name, value in found.items()}
            yield (
                range(first, first + complete),
                {name: value.unflatten(0, (complete, samples)) for name, value in whole.items()},
            )
        first += complete


def write_shard(
    manifest: Path | str, shard: Shard, settings: dict, seed: int | None = None, part: dict | None = None
) -> None:
    """Write a whole shard: its tensors beside `manifest`, then the manifest (`shard_writer`)."""
    manifest = Path(manifest)
    noise = {"noise": shard.noise} if shard.noise.numel() else {}
    tensors = {**noise, "latent": shard.latent}
    write_tensors(manifest.with_suffix(".safetensors"), tensors, _metadata(shard.prompt_ids, seed))
    _write_manifest(manifest, shard.prompt_ids, shard.latent.shape[1:], settings, part)


def _metadata(prompt_ids: list[str], seed: int | None) -> dict[str, str]:
    return {"prompt_ids": json.dumps(prompt_ids)} | ({} if seed is None else {"seed": str(seed)})


def _write_manifest(
    manifest: Path, prompt_ids: list[str], shape: Sequence[int], settings: dict, part: dict | None
) -> None:
    write_manifest(
        manifest,
        KIND,
        settings,
        [manifest.with_suffix(".safetensors").name],
        prompt_ids=prompt_ids,
        latent_shape=list(shape[1:]),
        part=part or part_of(prompt_ids, range(len(prompt_ids))),
    )


def open_shard(manifest: Path | str, *, check: bool = True) -> Shard:
    """Read a shard, its tensors mapped from the file; `check=False` trusts that its hash has been checked.

    Raises UserError that names the file if it is missing, damaged or not what its manifest says.
    """
    manifest = Path(manifest)
    if check:
        require_intact(manifest, KIND)
    content = read_shard_manifest(manifest)
    (name,) = content["files"]
    file = manifest.parent / name
    try:
        prompt_ids = json.loads(read_metadata(file).get("prompt_ids", "[]"))
    except (ValueError, RecursionError):
        prompt_ids = None
    if prompt_ids != content["prompt_ids"]:
        raise UserError(f"{file}: holds other prompts than {manifest} lists; delete both and run again")
    tensors = read_tensors(file)
    noise, latent = tensors.get("noise"), tensors.get("latent")
    foreign = "dataset" in content["settings"] and "inversion" not in content["settings"]
    if foreign and latent is not None and noise is None:
        noise = Shard.without_noise(prompt_ids, latent).noise
    elif noise is None or latent is None or noise.shape != latent.shape:
        raise UserError(f"{file}: does not hold one noise and one latent of each sample; delete it and run again")
    if len(latent) != len(prompt_ids):
        raise UserError(f"{file}: does not hold the samples of each prompt; delete it and run again")
    if {noise.dtype, latent.dtype} != {torch.float32}:
        raise UserError(f"{file}: its tensors are not float32; delete it and run again")
    return Shard(prompt_ids, noise, latent)


def read_shard_manifest(manifest: Path | str) -> dict:
    """The manifest of a shard, unchecked against its file. Raises UserError if it is none."""
    content = read_manifest(manifest, KIND)
    if not isinstance(content.get("part"), dict) or len(content["files"]) != 1:
        raise UserError(f"{manifest}: not the manifest of a shard as this version writes it; delete it and run again")
    require_samples(manifest, content)
    return content


def require_samples(path: Path | str, content: dict) -> None:
    """Raise UserError unless a manifest says of which prompts its samples are, of what shape, and how they were made."""
    settings, ids, shape = content["settings"], content.get("prompt_ids"), content.get("latent_shape")
    try:
        good = isinstance(ids, list) and all(isinstance(name, str) for name in ids)
        good &= isinstance(shape, list) and len(shape) == 3 and all(type(size) is int and size > 0 for size in shape)
        good &= type(settings["samples"]) is int and settings["samples"] > 0
        asked_by(settings)
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise UserError(f"{path}: does not say what samples it lists, as this version does; delete it and run again")
