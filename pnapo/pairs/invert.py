"""A pair set whose noises are not those that made the images but those the model would have made them from.

Existing images have no stored noise, and what inversion costs in quality is what PNAPO claims to save.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from pnapo.artifacts.parts import parts_of
from pnapo.backbones import Backbone
from pnapo.config.schema import Inversion
from pnapo.errors import UserError
from pnapo.flow.inversion import invert
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.generate import digest_of
from pnapo.pairs.sampler import fixed_batches, make_scheduler
from pnapo.pairs.shards import Shard, open_shard, read_shard_manifest, shard_writer, whole_prompts


@torch.no_grad()
def invert_latents(
    backbone: Backbone,
    latents: torch.Tensor,
    owners: list[str],
    embeddings: Embeddings,
    settings: Inversion,
    guidance: float = 1.0,
) -> torch.Tensor:
    """Noises [N, C, h, w] of latents [N, C, h, w] under their prompts `owners`, on the model's sampling grid.

    The velocity is the one that training sees: without classifier-free guidance, and at the embedded `guidance`, if any.
    """
    scheduler = make_scheduler(backbone, settings.steps)
    grid = [float(sigma) for sigma in scheduler.sigmas.flip(0)]
    found = torch.empty_like(latents)
    for rows, new in fixed_batches(len(latents), settings.batch):
        cond = {
            name: value.to(backbone.device) for name, value in embeddings.rows([owners[row] for row in rows]).items()
        }

        def velocity(x: torch.Tensor, t: float, cond: dict = cond) -> torch.Tensor:
            return backbone.velocity(x, torch.full((len(x),), t, device=x.device), cond, guidance)

        noise = invert(velocity, latents[rows].to(backbone.device), grid, settings.renoise)
        found[rows[:new]] = noise[:new].cpu()
    return found


def invert_shard(
    backbone: Backbone,
    shard: Path,
    embeddings: Embeddings,
    settings: Inversion,
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Write the shard with the manifest `out`: the latents of `shard`, and inverted noises.

    A killed job goes on where it was. Raises UserError if `shard` is damaged, or if a noise is not finite.
    """
    source, manifest = open_shard(shard), read_shard_manifest(shard)
    samples = source.latent.shape[1]
    owners = [prompt_id for prompt_id in source.prompt_ids for _ in range(samples)]
    guidance, weights = manifest["settings"]["guidance"], digest_of(backbone.transformer.state_dict())
    latents = source.latent.flatten(0, 1)

    def make(rows: range) -> dict[str, torch.Tensor]:
        own = slice(rows.start, rows.stop)
        found = invert_latents(backbone, latents[own], owners[own], embeddings, settings, guidance)
        if not torch.isfinite(found).all():
            raise UserError(f"{out}: inversion led to a noise that is not finite; more inversion.steps may help")
        return {"noise": found}

    made_from = [manifest, settings.model_dump(), dict(backbone.scheduler_config), weights]
    made_from += [digest_of(embeddings.rows(owners[:1]))]
    made_with = {**manifest["settings"], "inversion": settings.model_dump(exclude={"batch"})}
    made_with.setdefault("weights", weights)  # images from elsewhere: here a model of ours has its first part in them
    ids, shape = source.prompt_ids, source.latent.shape[1:]
    with (
        parts_of(out, made_from, __file__, log) as parts,
        shard_writer(out, ids, shape, made_with, seed=made_with.get("seed"), part=manifest["part"]) as put,
    ):
        for rows, found in whole_prompts(parts.each(len(latents), settings.batch, make, "inverted latents"), samples):
            own = slice(rows.start, rows.stop)
            put(rows.start, Shard(ids[own], found["noise"], source.latent[own]))
