"""The images of a pair set: every latent decoded once, for all rewards and for whoever wants to look."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pnapo.artifacts import read_manifest
from pnapo.artifacts.images import Images, image_writer
from pnapo.backbones import Backbone
from pnapo.errors import UserError
from pnapo.pairs.shards import open_shard, read_shard_manifest

REPORT_EVERY = 64  # batches between two lines of progress


def decode_shard(backbone: Backbone, shard: Path, out: Path, log: Callable[[str], None] = print) -> None:
    """Decode the latents of the shard of manifest `shard`, as many at once as were made, into the images of manifest `out`."""
    content, opened = read_shard_manifest(shard), open_shard(shard)
    batch, samples = content["settings"]["batch"], opened.latent.shape[1]
    ids = [prompt_id for prompt_id in opened.prompt_ids for _ in range(samples)]
    settings = {"shard": tensors_of(shard), "model": backbone.path, "resolution": backbone.resolution, "batch": batch}
    with image_writer(out, settings) as add:
        for number, latents in enumerate(opened.latent.flatten(0, 1).split(batch)):
            rows = range(number * batch, number * batch + len(latents))
            add([ids[row] for row in rows], [row % samples for row in rows], backbone.decode(latents, batch))
            if number % REPORT_EVERY == REPORT_EVERY - 1 or rows.stop == len(ids):
                log(f"decoded: {rows.stop}/{len(ids)} images")


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
