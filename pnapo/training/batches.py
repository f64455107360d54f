"""From preference pairs to the tensors of one forward pass: points on the paths, targets, times and embeddings."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pnapo.config.schema import Run
from pnapo.flow.interpolation import interpolate, velocity_target
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS
from pnapo.training.draws import draw, visits_at

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs


class Batch(NamedTuple):
    """B pairs as R rows: the winners, then (R = 2B) the losers if the loss needs them."""

    x: torch.Tensor  # x_t [R, C, h, w]
    u: torch.Tensor  # velocity targets [R, C, h, w]
    t: torch.Tensor  # [R], the same for winner and loser
    cond: dict[str, torch.Tensor]  # prompt embeddings, R rows each
    gap: torch.Tensor  # reward gap times the reward scale [B]


class Batches:
    """Batches of a pair set, addressed by the position in the run's endless sequence of pairs."""

    def __init__(
        self,
        pairs: "PreferencePairs",
        embeddings: "Embeddings",
        run: Run,
        *,
        seed: int,
        draw_seed: int,
        reward_scale: float,
        device: torch.device,
    ):
        self.pairs, self.embeddings, self.run = pairs, embeddings, run
        self.seed, self.draw_seed, self.device = seed, draw_seed, device
        self.path, self.loser = PATHS[run.path], LOSSES[run.loss].loser
        self.gap = torch.as_tensor(np.asarray(pairs.gap, dtype=np.float64) * reward_scale).float()

    def at(self, position: int, size: int) -> Batch:
        """The `size` pairs from `position` on."""
        pairs = self.pairs
        indices, visits = visits_at(position, size, len(pairs.prompt_ids), self.seed)
        prompts = [pairs.prompt_ids[i] for i in indices]
        shape = tuple(pairs.x0_w.shape[1:])
        draws = [
            draw(self.draw_seed, p, v, sampling=self.run.time_sampling, fresh=self.path.fresh, shape=shape)
            for p, v in zip(prompts, visits)
        ]
        t = torch.tensor([time for time, _ in draws], dtype=torch.float32)
        fresh = torch.from_numpy(np.stack([noise for _, noise in draws]))
        rows = torch.from_numpy(indices)
        noises = self.path.function(pairs.xT_w[rows], pairs.xT_l[rows], fresh)
        latents = (pairs.x0_w[rows], pairs.x0_l[rows])
        cond = self.embeddings.rows(prompts)
        sides = 2 if self.loser else 1
        x0, xT = torch.cat(latents[:sides]), torch.cat(noises[:sides])
        t = t.repeat(sides)
        return Batch(
            interpolate(x0, xT, t).to(self.device),
            velocity_target(x0, xT).to(self.device),
            t.to(self.device),
            {name: torch.cat([value] * sides).to(self.device) for name, value in cond.items()},
            self.gap[rows].to(self.device),
        )
