"""The frozen reference's errors e_ref: scalars that hang on (sample, visit) and a few settings, but on no policy.

So they are made once, a file for each visit of a whole pair set, and every run on that path reads them. They are stored
by sample, not by winner and loser, so that labels of any reward find them.

Every forward pass has ROWS rows (the last is filled up): in floating point a row's error depends on the size of its
batch, but at one size not on its neighbours. So an error is the same, bit for bit on a CPU, in whatever order and by
whichever job it is computed. On a GPU, or in bfloat16, it is the same up to rounding.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pnapo.artifacts import read_tensors, require_intact, write_manifest, write_tensors
from pnapo.artifacts.parts import Parts, parts_of
from pnapo.backbones import Backbone
from pnapo.errors import UserError
from pnapo.objectives.errors import mean_square
from pnapo.pairs.generate import digest_of
from pnapo.pairs.sampler import fixed_batches
from pnapo.training.points import Draws, HasPoints, Samples, residuals_at

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.store import PairSet

KIND = "reference"
ROWS = 16  # of each forward pass of the reference, whatever the run's batch is
AT_ONCE = 32 * ROWS  # samples that are hashed at once

Log = Callable[[str], None]


class Reference:
    """The base model at the draws of one path and time distribution."""

    def __init__(self, backbone: Backbone, draws: Draws, guidance: float):
        self.backbone, self.draws, self.guidance = backbone, draws, guidance
        self.dtype = backbone.dtype

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What an error depends on besides its sample and visit, as the manifests record it."""
        return {
            "path": self.draws.name,
            "time_sampling": self.draws.time_sampling,
            "draw_seed": self.draws.seed,
            "guidance": self.guidance,
            "family": self.backbone.family,
            "weights": digest_of(self.backbone.transformer.state_dict()),
            "dtype": str(self.dtype).removeprefix("torch."),
            "latent_shape": list(self.backbone.latent_shape),
            "rows": ROWS,
        }

    @torch.no_grad()
    def residuals(self, points: HasPoints, model: torch.nn.Module) -> torch.Tensor:
        """v_ref − u [R, C, h, w] at R points, in one forward pass of `model`, in the base model's precision."""
        with torch.autocast(self.backbone.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return residuals_at(self.backbone, model, points, self.guidance)

    @torch.no_grad()
    def errors(self, samples: Samples, model: torch.nn.Module | None = None) -> torch.Tensor:
        """e_ref [n] of samples, float32 on the CPU. `model` stands in for the backbone's own transformer.

        Raises UserError that names the prompt if an error is not finite.
        """
        model, device, found = model or self.backbone.transformer, self.backbone.device, []
        for rows, new in fixed_batches(len(samples.prompt_ids), ROWS):
            chosen = Samples(
                [samples.prompt_ids[row] for row in rows],
                [samples.visits[row] for row in rows],
                samples.x0[rows],
                samples.xT[rows],
            )
            values = mean_square(self.residuals(self.draws.points(chosen, device), model))
            found.append(values[:new].float().cpu())
            if not torch.isfinite(found[-1]).all():
                bad = chosen.prompt_ids[int((~torch.isfinite(found[-1])).nonzero()[0])]
                raise UserError(f"prompt {bad}: the reference's error is not finite; check the pairs and the model")
        return torch.cat(found) if found else torch.empty(0)

    def all_errors(self, count: int, take: Callable[[range], Samples], parts: Parts) -> torch.Tensor:
        """e_ref [count] of the samples that `take` gives by number; goes on where a killed process left `parts`."""

        def make(rows: range) -> dict[str, torch.Tensor]:
            return {"errors": self.errors(take(rows))}

        found = [part["errors"] for _, part in parts.each(count, ROWS, make, "reference errors")]
        return torch.cat(found) if found else torch.empty(0)


def sample_keys(prompt_ids: list[str], x0: torch.Tensor, xT: torch.Tensor, embeddings: "Embeddings") -> np.ndarray:
    """The identity of samples, int64 [n]: a hash of prompt, latent, prior noise (every bit) and pooled embedding."""
    pooled = embeddings.rows(prompt_ids, ("pooled",))["pooled"]  # the others are a thousand times larger
    found = np.empty(len(prompt_ids), np.int64)
    for row, prompt_id in enumerate(prompt_ids):
        digest = hashlib.blake2b(prompt_id.encode(), digest_size=8)
        for tensor in (x0[row], xT[row], pooled[row]):
            digest.update(tensor.float().cpu().contiguous().numpy())
        found[row] = int.from_bytes(digest.digest(), "little", signed=True)
    return found


def make_visit(
    backbone: Backbone,
    pairs: "PairSet",
    embeddings: "Embeddings",
    *,
    path: str,
    time_sampling: str,
    draw_seed: int,
    visit: int,
    out: Path,
    log: Log = print,
) -> None:
    """Write the reference's errors on all samples of a pair set at one visit: the manifest `out`, tensors beside it.

    "errors" float32 and "keys" int64 (`sample_keys`), [N, S] each. A killed job goes on where it was. Raises UserError
    if the pairs were made by another model.
    """
    draws = Draws(embeddings, path=path, time_sampling=time_sampling, seed=draw_seed)
    reference = Reference(backbone, draws, pairs.settings["guidance"])
    own = reference.settings["weights"]
    if pairs.settings.get("weights", own) != own:  # images from elsewhere were made by none
        raise UserError(
            f"{backbone.path}: not the model that made the pairs; make them again, or use the model they were made by"
        )
    if draws.path.noise == "shuffled":
        pairs = pairs.shuffled(draw_seed)
    samples, keys = pairs.samples, []

    def take(numbers: range) -> Samples:
        rows, which = [n // samples for n in numbers], [n % samples for n in numbers]
        ids = [pairs.prompt_ids[row] for row in rows]
        return Samples(ids, [visit] * len(ids), pairs.latent(rows, which), pairs.noise(rows, which))

    count = len(pairs) * samples
    for first in range(0, count, AT_ONCE):
        chosen = take(range(first, min(first + AT_ONCE, count)))
        keys.append(sample_keys(chosen.prompt_ids, chosen.x0, chosen.xT, embeddings))
    keys = torch.from_numpy(np.concatenate(keys))
    settings = {**reference.settings, "visit": visit}
    made_from = [settings, hashlib.sha256(keys.numpy()).hexdigest()]
    with parts_of(out, made_from, __file__, log) as parts:
        found = reference.all_errors(count, take, parts)
        file = out.with_suffix(".safetensors")
        write_tensors(file, {"errors": found.view(-1, samples), "keys": keys.view(-1, samples)})
        write_manifest(out, KIND, settings, [file.name], forward_passes=count)


def read_visit(manifest: Path, wanted: dict[str, Any]) -> tuple[int, dict[int, float]]:
    """The visit of a file and its errors by sample key. Raises UserError if it is damaged or of other settings."""
    found = require_intact(manifest, KIND)
    for name, value in wanted.items():
        if found["settings"].get(name) != value:
            raise UserError(
                f"{manifest}: reference errors for {name} {found['settings'].get(name)}, but this run has {value}; "
                "delete it and run again"
            )
    (name,) = found["files"]
    tensors = read_tensors(Path(manifest).parent / name)
    return found["settings"]["visit"], dict(
        zip(tensors["keys"].flatten().tolist(), tensors["errors"].flatten().tolist())
    )
