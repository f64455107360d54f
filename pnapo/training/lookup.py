"""Where a run takes the reference's errors from: a table filled before the first step, or forward passes in each step.

`Table` and `Computed` go through `Reference.errors`, so on a CPU the loss curves are the same to the last bit. `Beside` is
for what no table can hold: a reference that follows the policy, and its velocities.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pnapo.artifacts.parts import Parts, fingerprint
from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.objectives.errors import mean_square
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS
from pnapo.training.adapters import Policy
from pnapo.training.batches import Batch, Batches
from pnapo.training.crew import Crew
from pnapo.training.draws import visits_at
from pnapo.training.ema import EMA
from pnapo.training.reference import ROWS, Log, Reference, read_visit, sample_keys


def why_in_each_step(run: Run) -> str | None:
    """Why a table cannot hold a run's reference errors; None if one can."""
    if PATHS[run.path].uncached:
        return f"path {run.path}: {PATHS[run.path].uncached}"
    if run.reference_ema:
        return f"reference_ema: {run.reference_ema:g}: the reference follows the policy"
    if LOSSES[run.loss].deviation:
        return f"loss {run.loss}: it compares velocities, and the cache holds errors"
    return None


class Known(NamedTuple):
    """What is known of the reference at a batch of B pairs."""

    errors: list[torch.Tensor]  # e_ref [B] of the winners, then (if the loss needs them) of the losers
    residuals: torch.Tensor | None = None  # v_ref − u [R, C, h, w] of all rows, from `Beside` alone


class ReferenceErrors(ABC):
    """e_ref of a run's pairs, by position in its sequence of pairs."""

    average: EMA | None = None  # of the policy's weights, if that is the reference; whoever trains updates and saves it

    @abstractmethod
    def at(self, position: int, batch: Batch) -> Known:
        """What is known of the batch at a position."""

    @abstractmethod
    def passes(self, pairs: int) -> dict[str, int]:
        """Samples passed forward through the reference for the first `pairs` pairs: by this run, and for all runs."""


class Table(ReferenceErrors):
    """Errors known before the first step: no reference model is needed after that.

    `manifests` are visits made for all runs (`make_visit`). What they lack of the run's `total` pairs is computed here,
    at once, a share by each process; parts in the folder `work` keep it through a kill, if `key` still says the same of
    the run. Raises UserError that names a file of `manifests` which is damaged, or was made with other settings or for
    other pairs.
    """

    def __init__(
        self,
        reference: Reference,
        batches: Batches,
        total: int,
        manifests: Sequence[Path],
        *,
        work: Path,
        key: str,
        log: Log,
        crew: Crew,
    ):
        pairs, self.seed = batches.pairs, batches.seed
        indices, visits = visits_at(0, total, len(pairs.prompt_ids), self.seed)
        latents = {"w": (pairs.x0_w, pairs.xT_w), "l": (pairs.x0_l, pairs.xT_l)}
        self.sides = len(batches.sides)
        self.errors = torch.full((self.sides, len(pairs.prompt_ids), int(visits.max()) + 1), torch.nan)
        if manifests:
            keys = [sample_keys(pairs.prompt_ids, *latents[side], batches.draws.embeddings) for side in batches.sides]
        for manifest in manifests:
            visit, found = read_visit(manifest, reference.settings)
            if visit < self.errors.shape[2]:
                try:
                    known = [[found[key] for key in side] for side in np.stack(keys).tolist()]
                except KeyError:
                    raise UserError(
                        f"{manifest}: reference errors of other pairs or embeddings; delete it and run again"
                    ) from None
                self.errors[:, :, visit] = torch.tensor(known)
        lacking = self.errors[0, indices, visits].isnan().numpy()
        indices, visits = np.tile(indices[lacking], self.sides), np.tile(visits[lacking], self.sides)
        sides = np.repeat(np.arange(self.sides), lacking.sum())
        self.own, self.known = len(indices), self.sides * int((~lacking).sum())
        log(f"reference errors: {self.known} read from {len(manifests)} files, {self.own} to be computed for this run")
        mine = crew.share(self.own)
        rows = [value[mine.start : mine.stop] for value in (sides, indices, visits)]
        made_from = [key, hashlib.sha256(np.stack(rows)).hexdigest()]
        found = reference.all_errors(
            len(mine),
            lambda part: batches.samples(*(value[part.start : part.stop] for value in rows)),
            Parts(work / f"reference-{crew.rank}", fingerprint(made_from, __file__), log),
        )
        self.errors[sides, indices, visits] = torch.cat(crew.all(found))

    def at(self, position: int, batch: Batch) -> Known:
        indices, visits = visits_at(position, len(batch.gap), self.errors.shape[1], self.seed)
        return Known(list(self.errors[:, indices, visits]))

    def passes(self, pairs: int) -> dict[str, int]:
        return {"reference_passes": self.own, "shared_reference_passes": self.known}


class Computed(ReferenceErrors):
    """Errors computed when a step asks for them, in blocks of ROWS rows along the run's sequence of pairs."""

    def __init__(self, reference: Reference, batches: Batches, policy: Policy):
        self.reference, self.batches, self.policy = reference, batches, policy
        self.sides = len(batches.sides)
        self.block = ROWS // self.sides
        self.blocks: dict[int, torch.Tensor] = {}

    def at(self, position: int, batch: Batch) -> Known:
        size = len(batch.gap)
        wanted = range(position // self.block, (position + size - 1) // self.block + 1)
        self.blocks = {
            number: self.blocks[number] if number in self.blocks else self._make(number) for number in wanted
        }
        start = position - wanted.start * self.block
        return Known(list(torch.cat([self.blocks[number] for number in wanted], 1)[:, start : start + size]))

    def _make(self, number: int) -> torch.Tensor:
        """The errors [sides, block] of block `number`."""
        indices, visits = visits_at(
            number * self.block, self.block, len(self.batches.pairs.prompt_ids), self.batches.seed
        )
        sides = np.repeat(np.arange(self.sides), self.block)
        samples = self.batches.samples(sides, np.tile(indices, self.sides), np.tile(visits, self.sides))
        with self.policy.reference() as model:
            return self.reference.errors(samples, model).view(self.sides, self.block)

    def passes(self, pairs: int) -> dict[str, int]:
        return {"reference_passes": pairs * self.sides, "shared_reference_passes": 0}


class Beside(ReferenceErrors):
    """Errors and residuals at the very points of a step's forward pass, of the frozen reference or, with a `decay`, of the
    policy's moving average."""

    def __init__(self, reference: Reference, policy: Policy, sides: int, decay: float = 0.0):
        self.reference, self.policy, self.sides = reference, policy, sides
        self.average = EMA(policy.trainable, decay) if decay else None

    def at(self, position: int, batch: Batch) -> Known:
        with self._model() as model:
            residuals = self.reference.residuals(batch, model)
        return Known(list(mean_square(residuals).chunk(self.sides)), residuals)

    @contextmanager
    def _model(self) -> Iterator[torch.nn.Module]:
        if self.average:
            with self.average.instead_of(self.policy.trainable):
                yield self.policy.model
        else:
            with self.policy.reference() as model:
                yield model

    def passes(self, pairs: int) -> dict[str, int]:
        return {"reference_passes": pairs * self.sides, "shared_reference_passes": 0}
