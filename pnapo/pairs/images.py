"""The images of a pair set: every latent decoded once, for all rewards and for whoever wants to look."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pnapo.artifacts import read_manifest
from pnapo.artifacts.images import Images, make_images
from pnapo.backbones import Backbone
from pnapo.errors import UserError
from pnapo.pairs.generate import digest_of
from pnapo.pairs.shards import open_shard, read_shard_manifest


def decode_shard(backbone: Backbone, shard: Path, out: Path, log: Callable[[str], None] = print) -> None:
    """Decode the latents of the shard of manifest `shard`, as many at once as were made, into the images of manifest `out`.

    A killed job goes on where it was.
    """
    content, opened = read_shard_manifest(shard), open_shard(shard)
    batch, samples = content["settings"]["batch"], opened.latent.shape[1]
    ids = [prompt_id for prompt_id in opened.prompt_ids for _ in range(samples)]
    settings = {"shard": tensors_of(shard), "model": backbone.path, "resolution": backbone.resolution, "batch": batch}
    latents = opened.latent.flatten(0, 1)

    def make(rows: range) -> np.ndarray:
        return backbone.decode(latents[rows.start : rows.stop], batch)

    numbers = list(range(samples)) * len(opened.prompt_ids)
    made_from, options = [settings, digest_of(backbone.parts["vae"].state_dict())], {"told": "decoded", "log": log}
    make_images(out, settings, ids, numbers, make, batch=batch, made_from=made_from, source=__file__, **options)


def images_of(pairs: Path, manifests: Sequence[Path]) -> Images:
    """The images of a pair set, in its order, from the manifests of its shards' images.

    Raises UserError that names the file if one is missing or damaged, or is not of the pair set's shard in that place.
    """
    shards = [pairs.parent / name for name in read_manifest(pairs, "pairs")["shards"]]
    if len(shards) != len(manifests):
        raise UserError(f"{pairs}: has {len(shards)} shards, but images of {len(manifests)} are given")
    images = Images(*manifests)
    for shard, manifest, settings in zip(shards, manifests, images.settings):
        if settings.get("shard") != tensors_of(shard):
            raise UserError(f"{manifest}: its images are not those of {shard}; delete it and run again")
    return images


def tensors_of(shard: Path) -> str:
    """The SHA-256 of the tensors of the shard of a manifest."""
    (file,) = read_shard_manifest(shard)["files"].values()
    return file["sha256"]
