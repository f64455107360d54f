"""A pair set of rollouts that stop early: what the model takes for image and noise there (`pnapo.flow.truncation`).

Stopped early, the model's guess of the image is a poor one, and that is what Self-NPO learns: what not to do.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from pnapo.artifacts.parts import parts_of
from pnapo.backbones import Backbone
from pnapo.config.schema import Truncation
from pnapo.errors import UserError
from pnapo.flow.truncation import roll_out, stop_time
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.generate import digest_of
from pnapo.pairs.sampler import fixed_batches, make_scheduler
from pnapo.pairs.shards import Shard, open_shard, read_shard_manifest, shard_writer, whole_prompts


@torch.no_grad()
def truncate_noises(
    backbone: Backbone,
    noise: torch.Tensor,
    owners: list[str],
    embeddings: Embeddings,
    settings: Truncation,
    seed: int,
    guidance: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """x̂0 and x̂T [N, C, h, w] of rollouts from noises [N, C, h, w] under their prompts `owners`, on the model's sampling grid.

    The velocity is the one that training sees: without classifier-free guidance, and at the embedded `guidance`, if any.
    """
    grid = [float(sigma) for sigma in make_scheduler(backbone, settings.steps).sigmas]
    stops = torch.tensor([stop_time(seed, owner) for owner in owners])
    images, noises = torch.empty_like(noise), torch.empty_like(noise)
    for rows, new in fixed_batches(len(noise), settings.batch):
        cond = {
            name: value.to(backbone.device) for name, value in embeddings.rows([owners[row] for row in rows]).items()
        }

        def velocity(x: torch.Tensor, t: torch.Tensor, cond: dict = cond) -> torch.Tensor:
            return backbone.velocity(x, t, cond, guidance)

        found = roll_out(velocity, noise[rows].to(backbone.device), grid, stops[rows].to(backbone.device))
        for whole, part in zip((images, noises), found):
            whole[rows[:new]] = part[:new].cpu()
    return images, noises


def truncate_shard(
    backbone: Backbone,
    shard: Path,
    embeddings: Embeddings,
    settings: Truncation,
    seed: int,
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Write the shard with the manifest `out`: x̂0 as latents and x̂T as noises, of rollouts from the noises of `shard`.

    `seed` is that of the training draws, which have to know where the rollouts stopped. A killed job goes on where it was.
    Raises UserError if `shard` is damaged, or if what is found is not finite.
    """
    source, manifest = open_shard(shard), read_shard_manifest(shard)
    ids, shape = source.prompt_ids, source.noise.shape[1:]
    owners = [prompt_id for prompt_id in ids for _ in range(shape[0])]
    start, guidance = source.noise.flatten(0, 1), manifest["settings"]["guidance"]

    def make(rows: range) -> dict[str, torch.Tensor]:
        own = slice(rows.start, rows.stop)
        images, noises = truncate_noises(backbone, start[own], owners[own], embeddings, settings, seed, guidance)
        if not (torch.isfinite(images).all() and torch.isfinite(noises).all()):
            raise UserError(f"{out}: the rollouts are not finite; check the pairs and the model")
        return {"image": images, "noise": noises}

    made_from = [manifest, settings.model_dump(), seed, dict(backbone.scheduler_config)]
    made_from += [digest_of(backbone.transformer.state_dict()), digest_of(embeddings.rows(owners[:1]))]
    made_with = {**manifest["settings"], "truncation": {**settings.model_dump(exclude={"batch"}), "seed": seed}}
    with (
        parts_of(out, made_from, __file__, log) as parts,
        shard_writer(out, ids, shape, made_with, seed=made_with["seed"], part=manifest["part"]) as put,
    ):
        for rows, found in whole_prompts(parts.each(len(start), settings.batch, make, "rolled out noises"), shape[0]):
            put(rows.start, Shard(ids[rows.start : rows.stop], found["noise"], found["image"]))
