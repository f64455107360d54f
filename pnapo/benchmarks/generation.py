"""Images of a test set: the same prior noises for every run, so that runs can be compared image by image."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pnapo.artifacts.images import make_images
from pnapo.backbones import Backbone
from pnapo.config.schema import TestSet
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.generate import digest_of
from pnapo.pairs.sampler import sample


def generate_images(
    backbone: Backbone,
    testset: pd.DataFrame,
    embeddings: Embeddings,
    settings: TestSet,
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Make `settings.images` images of each prompt with the backbone as it is, and write the folder of manifest `out`.

    A killed job goes on where it was. Raises UserError if the model's latents are not finite.
    """
    batch = settings.batch
    ids = [prompt_id for prompt_id in testset["prompt_id"] for _ in range(settings.images)]
    numbers = [number for _ in testset["prompt_id"] for number in range(settings.images)]
    null = embeddings.null() if backbone.true_guidance and settings.guidance > 1 else None
    chosen = settings.model_dump(include={"images", "steps", "guidance", "seed", "batch"})
    recorded = {**chosen, "family": backbone.family, "model": backbone.path, "resolution": backbone.resolution}
    models = (backbone.transformer, backbone.negative, backbone.parts["vae"])
    weights = [digest_of(model.state_dict()) for model in models if model is not None]
    texts = [digest_of(cond) for cond in (embeddings.rows(ids[:1]), embeddings.rows(ids, ("pooled",)), null or {})]

    def make(rows: range) -> np.ndarray:
        chunk, which = ids[rows.start : rows.stop], numbers[rows.start : rows.stop]
        noise = np.stack([prior_noise(settings.seed, p, k, backbone.latent_shape) for p, k in zip(chunk, which)])
        latents = sample(
            backbone,
            torch.from_numpy(noise),
            embeddings.rows(chunk),
            steps=settings.steps,
            guidance=settings.guidance,
            batch=batch,
            null=null,
        )
        bad = (~latents.isfinite().flatten(1).all(1)).nonzero()
        if len(bad):
            raise UserError(
                f"{out}: not made, as the model's latents of prompt {chunk[int(bad[0])]} are not finite; "
                "its training diverged or its weights are damaged"
            )
        return backbone.decode(latents, batch)

    made_from = [recorded, dict(backbone.scheduler_config), weights, texts, ids, numbers]
    make_images(out, recorded, ids, numbers, make, batch=batch, made_from=made_from, source=__file__, log=log)
