"""One optimizer step, the same for every method: path × loss × schedule decide.

A step draws pairs, takes the errors of policy and frozen reference at the same points, and descends the loss. It is a
pure function of the state, so a run that was killed and resumed equals one that was not, bit for bit.
"""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from pnapo.backbones import Backbone
from pnapo.config.schema import Run
from pnapo.objectives.errors import PairErrors, deviation, mean_product, mean_square
from pnapo.objectives.losses import LOSSES, Loss
from pnapo.objectives.schedules import SCHEDULES
from pnapo.objectives.weights import WEIGHTS
from pnapo.training.adapters import Policy
from pnapo.training.batches import Batch, Batches
from pnapo.training.crew import Crew
from pnapo.training.ema import EMA
from pnapo.training.log import per_pair, row
from pnapo.training.lookup import Known, ReferenceErrors
from pnapo.training.meter import Meter
from pnapo.training.optimizers import make_optimizer
from pnapo.training.points import residuals_at
from pnapo.training.sharding import load_parts, save_parts, whole


def learning_rate(run: Run, step: int) -> float:
    """Linear warm-up to the run's learning rate at step `warmup` (counted from 1), then constant."""
    return run.learning_rate * min(1.0, (step + 1) / max(1, run.warmup))


def pair_errors(
    backbone: Backbone, model: torch.nn.Module, batch: Batch, loss: Loss, guidance: float, known: Known
) -> PairErrors:
    """The errors of the policy `model` on the batch, in one forward pass, beside what is `known` of the reference."""
    residuals = residuals_at(backbone, model, batch, guidance)
    found = dict(zip(("w", "l"), mean_square(residuals).chunk(2 if loss.loser else 1)))
    if loss.cross:
        found["cross"] = mean_product(*residuals.detach().chunk(2))
    if loss.deviation:
        found |= zip(("dev_w", "dev_l"), deviation(residuals, known.residuals, batch.t).chunk(2))
    reference = [value.to(batch.x.device) for value in known.errors]
    return PairErrors(**found, **dict(zip(("ref_w", "ref_l"), reference)))


class Learner:
    """A policy with its optimizer and the moving averages of its weights: what a step changes, and what a state holds."""

    def __init__(
        self,
        backbone: Backbone,
        policy: Policy,
        batches: Batches,
        reference: ReferenceErrors | None,
        guidance: float,
        crew: Crew,
        meter: Meter,
    ):
        self.backbone, self.policy, self.batches, self.run = backbone, policy, batches, batches.run
        self.loss, self.schedule = LOSSES[self.run.loss], SCHEDULES[self.run.schedule]
        self.parameter = {"snr": self.run.snr_bias, "discount": self.run.discount}.get(self.run.time_weight, 0.0)
        self.reference, self.guidance, self.crew, self.meter = reference, guidance, crew, meter
        self.weights = policy.trainable
        self.optimizer = crew.accelerator.prepare_optimizer(make_optimizer(self.run, self.weights.values()))
        self.ema = EMA(self.weights, self.run.ema) if self.run.ema else None
        averages = {"saved": self.ema, "reference": reference.average if reference else None}
        self.averages = {name: average for name, average in averages.items() if average}

    def step(self, step: int) -> dict[str, Any]:
        """One optimizer step; returns its line of the log, whose numbers need not be finite."""
        run, accelerator, parts, norm = self.run, self.crew.accelerator, [], math.nan
        rate = learning_rate(run, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for micro in self.crew.passes:
            position = (step * run.accumulation + micro) * run.batch
            batch = self.batches.at(position, run.batch)
            known = self.reference.at(position, batch) if self.reference else Known([])
            beta = run.beta * self.schedule(batch.gap, step / run.steps, run.n1, run.n2)
            with accelerator.accumulate(self.policy.model):
                with accelerator.autocast():
                    found = pair_errors(self.backbone, self.policy.model, batch, self.loss, self.guidance, known)
                values = self.loss.function(found, beta, batch.gap)
                if run.time_weight != "constant":
                    values = values * WEIGHTS[run.time_weight](batch.t[: run.batch], self.parameter)
                accelerator.backward(values.mean())
                if accelerator.sync_gradients:
                    if not self.policy.split:  # else the backward pass has done it
                        self.crew.average(value.grad for value in self.weights.values())
                    norm = float(whole(accelerator.clip_grad_norm_(self.weights.values(), run.max_grad_norm)))
                self.optimizer.step()
                self.optimizer.zero_grad()
            parts.append(per_pair(found, values, beta, self.loss))
            self.meter.count(run.batch, len(batch.t))
        for average in self.averages.values():
            average.update(self.weights)
        return row(step, self.crew.joined(parts), norm, rate)

    def save_weights(self, folder: Path | None) -> None:
        """Write the weights as they are now, or their average, into `folder`; every process calls it, without a folder
        where another one writes."""
        with self.ema.instead_of(self.weights) if self.ema else nullcontext():
            self.policy.save(folder)

    def state(self) -> dict[str, Any]:
        """Weights, optimizer and averages of a policy that is not split."""
        return {
            "weights": {name: value.detach() for name, value in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "averages": {name: average.shadow for name, average in self.averages.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, average in self.averages.items():
            average.load(state["averages"][name])

    def save_parts(self, folder: Path) -> None:
        """Write the same of a split policy, each process its share."""
        save_parts(folder, *self._split())

    def load_parts(self, folder: Path) -> None:
        """Take over what `save_parts` wrote."""
        load_parts(folder, *self._split())

    def _split(self) -> tuple[torch.nn.Module, torch.optim.Optimizer, dict[str, Any]]:
        averages = {name: average.shadow for name, average in self.averages.items()}
        return self.policy.model, self.optimizer.optimizer, averages
