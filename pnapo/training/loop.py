"""The training loop, the same for every method: path × loss × schedule decide, step by step.

A step draws pairs, takes the errors of policy and frozen reference at the same points, and descends the loss. It is a
pure function of the state, so a run that was killed and resumed equals one that was not, bit for bit.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pnapo.backbones import Backbone
from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.objectives.errors import PairErrors, deviation, mean_product, mean_square
from pnapo.objectives.losses import LOSSES, Loss
from pnapo.objectives.schedules import SCHEDULES
from pnapo.objectives.weights import WEIGHTS
from pnapo.training.adapters import ADAPTERS, Policy
from pnapo.training.batches import Batch, Batches
from pnapo.training.checkpoint import SNAPSHOTS, assemble, publish
from pnapo.training.crew import Crew
from pnapo.training.ema import EMA
from pnapo.training.log import JsonLines, per_pair, row
from pnapo.training.lookup import Beside, Computed, Known, ReferenceErrors, Table, why_in_each_step
from pnapo.training.meter import Meter
from pnapo.training.optimizers import make_optimizer
from pnapo.training.points import residuals_at
from pnapo.training.reference import Reference
from pnapo.training.settings import resolve_settings
from pnapo.training.sharding import load_parts, save_parts, whole
from pnapo.training.state import drop_other_parts, fingerprint, load_state, parts_folder, save_state
from pnapo.training.tracker import Follower, Tracker

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs

Log = Callable[[str], None]
LOGS = ("train_log.jsonl", "speed.jsonl")  # what two identical runs share, and the clock


def train(
    *,
    backbone: Backbone,
    pairs: "PreferencePairs",
    embeddings: "Embeddings",
    run: Run,
    draw_seed: int,
    seed: int,
    out: Path | str,
    reference: Sequence[Path] = (),
    stop: int | None = None,
    tracker: Tracker | None = None,
    log: Log = print,
) -> None:
    """Train one run and write its checkpoint folder `out`; an interrupted training goes on where its last state was.

    Its weights are those after `stop` steps, one of the run's snapshots; by default those after the last.

    Where several processes were launched (`pnapo.processes`), each calls this with the same arguments, and the first writes.
    A guidance-distilled model embeds the guidance that the pairs were made with. `reference` are manifests of visits
    (`make_visit`) whose errors need not be computed again. A `tracker` is told the lines of the log. The backbone is left
    as it was; only full fine-tuning that needs no reference in its steps frees the backbone's weights, so that one model is
    in memory, not two.
    Raises UserError if the pairs do not fit the backbone, if a file of `reference` does not fit, if the
    processes cannot share the forward passes of a step, or if training diverges.
    """
    out, crew = Path(out), Crew(backbone.device, backbone.dtype, run.accumulation)
    meter, log = Meter(backbone.device, crew), log if crew.first else _silent
    loss, reason = LOSSES[run.loss], why_in_each_step(run)
    if loss.reference and run.reference == "cache" and reason:
        raise UserError(f"{reason}; set `reference: compute` for this run")
    settings = resolve_settings(backbone=backbone, pairs=pairs, run=run, seed=seed, draw_seed=draw_seed, stop=stop)
    batches = Batches(
        pairs,
        embeddings,
        run,
        seed=seed,
        draw_seed=draw_seed,
        reward_scale=settings["reward_scale"],
        device=backbone.device,
    )
    _announce(out.name, settings, batches, log)
    if crew.size > 1:
        log(f"{crew.size} processes, each making {len(crew.passes)} of a step's {run.accumulation} forward passes")
    elif run.sharded:
        log("sharded: true, but this is one process, so nothing is split; docs/slurm.md says how to train in several")
    with crew.workspace(out) as work:
        source = Reference(backbone, batches.draws, settings["guidance"])
        table = None
        if loss.reference and run.reference == "cache":
            total = run.steps * run.batch * run.accumulation
            key = fingerprint(settings)
            table = Table(source, batches, total, reference, work=work, key=key, log=log, crew=crew)
        policy = ADAPTERS[run.adapter](backbone, run, seed)
        try:
            if table or not loss.reference or run.reference_ema:
                policy.forget_reference()
            known = table if table or not loss.reference else _in_each_step(source, batches, policy)
            session = Session(backbone, policy, batches, known, settings, crew, meter, work, log)
            follower = Follower(tracker, settings, session.start, log) if tracker and crew.first else None
            cost = session.optimize(follower)
            finished = _empty(work / "checkpoint") if crew.first else None
            if settings["stop"] == run.steps:
                policy.save(finished)
            if finished:
                assemble(finished, out.name, settings, work / SNAPSHOTS, [work / name for name in LOGS])
                publish(finished, out, settings, cost)
        finally:
            policy.close()


def _in_each_step(source: Reference, batches: Batches, policy: Policy) -> ReferenceErrors:
    if batches.run.reference_ema or LOSSES[batches.run.loss].deviation:
        return Beside(source, policy, len(batches.sides), batches.run.reference_ema)
    return Computed(source, batches, policy)


def _empty(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _silent(line: str) -> None:
    """The log of all processes but the first."""


def _announce(name: str, settings: dict[str, Any], batches: Batches, log: Log) -> None:
    run = batches.run
    log(
        f"{name}: {run.path} × {run.loss} × {run.schedule}, {settings['pairs']['count']} pairs, {run.steps} steps of "
        f"{run.batch} × {run.accumulation}, {run.adapter}"
    )
    if LOSSES[run.loss].loser:
        factor = SCHEDULES[run.schedule](batches.gap, 0.0, run.n1, run.n2)
        low, middle, high = torch.quantile(factor.double(), torch.tensor([0.25, 0.5, 0.75]).double()).tolist()
        log(
            f"β {settings['beta_code']:g} in the code convention (mean over {settings['dimensions']} dimensions, "
            f"factor ½), {settings['beta_sum']:.4g} in the papers' (sum); reward scale {settings['reward_scale']:g}; "
            f"β_eff/β at the start: quartiles {low:.3f}, {middle:.3f}, {high:.3f}"
        )


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


class Session:
    """One attempt at a run, from the last state in the work folder (or from step 0) to the last step."""

    def __init__(
        self,
        backbone: Backbone,
        policy: Policy,
        batches: Batches,
        reference: ReferenceErrors | None,
        settings: dict[str, Any],
        crew: Crew,
        meter: Meter,
        work: Path,
        log: Log,
    ):
        self.backbone, self.policy, self.batches, self.run = backbone, policy, batches, batches.run
        self.loss, self.schedule = LOSSES[self.run.loss], SCHEDULES[self.run.schedule]
        self.parameter = {"snr": self.run.snr_bias, "discount": self.run.discount}.get(self.run.time_weight, 0.0)
        self.reference, self.meter = reference, meter
        self.guidance, self.crew, self.log = settings["guidance"], crew, log
        self.key, self.file, self.snapshots = fingerprint(settings), work / "state.pt", work / SNAPSHOTS
        self.weights = policy.trainable
        self.optimizer = crew.accelerator.prepare_optimizer(make_optimizer(self.run, self.weights.values()))
        self.ema = EMA(self.weights, self.run.ema) if self.run.ema else None
        averages = {"saved": self.ema, "reference": reference.average if reference else None}
        self.averages = {name: average for name, average in averages.items() if average}
        state = load_state(self.file, self.key, log, split=policy.split)
        self.start = state["step"] if state else 0
        # Before anything is read together: a process that does not see the state yet would leave the others waiting.
        crew.require_same((self.key, self.start), "settings, pairs and state of the training")
        if state:
            log(f"resuming at step {state['step']}")
            self._restore(state)
            meter.resume(state["cost"])
        offsets = state["offsets"] if state else {}
        self.logs = [JsonLines(work / name, offsets.get(name, 0)) for name in LOGS if crew.first]

    def optimize(self, follower: Follower | None = None) -> dict[str, Any]:
        """Run all steps that are left, leave the final weights on the policy, and return what it cost."""
        run = self.run
        for step in range(self.start, run.steps):
            began = time.perf_counter()
            line = self.step(step)
            speed = run.batch * run.accumulation / (time.perf_counter() - began)
            lines = (line, {"step": step, "pairs_per_s": round(speed, 3)})
            for file, content in zip(self.logs, lines):
                file.append(content)
            if follower:
                follower.add(*lines)
            if (step + 1) % max(1, run.steps // 20) == 0 or step + 1 == run.steps:
                self.log(_progress(line, run.steps, speed))
            if step + 1 in run.snapshots:
                self._keep(self.snapshots / str(step + 1))
            if (step + 1) % run.checkpoint_every == 0 and step + 1 < run.steps:
                self._save(step + 1)
        for file in (*self.logs, *([follower] if follower else [])):
            file.close()
        if self.ema:
            self.ema.copy_to(self.weights)
        none = {"reference_passes": 0, "shared_reference_passes": 0}
        total = run.steps * run.batch * run.accumulation
        return {**self.meter.report(), **(self.reference.passes(total) if self.reference else none)}

    def step(self, step: int) -> dict[str, Any]:
        """One optimizer step; returns its line of the log. Raises UserError if a logged number is not finite."""
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
        line = row(step, self.crew.joined(parts), norm, rate)
        for name, value in line.items():
            if value is not None and not math.isfinite(value):
                raise UserError(f"step {step}: {name} is {value}, training diverged; lower learning_rate or beta")
        for average in self.averages.values():
            average.update(self.weights)
        return line

    def _keep(self, folder: Path) -> None:
        """Write the weights as they are now, or their average, into a folder of their own."""
        with self.ema.instead_of(self.weights) if self.ema else nullcontext():
            self.policy.save(_empty(folder) if self.crew.first else None)

    def _save(self, step: int) -> None:
        cost, parts = self.meter.totals(), None
        if self.policy.split:
            parts = parts_folder(self.file, step)
            save_parts(parts, *self._split_state())
        if self.crew.first:
            state = {
                "fingerprint": self.key,
                "step": step,
                "offsets": {name: file.sync() for name, file in zip(LOGS, self.logs)},
                "cost": cost,
            }
            if parts:
                save_state(self.file, {**state, "parts": parts.name})
                drop_other_parts(parts)
                return
            state |= {
                "weights": {name: value.detach() for name, value in self.weights.items()},
                "optimizer": self.optimizer.state_dict(),
                "averages": {name: average.shadow for name, average in self.averages.items()},
            }
            save_state(self.file, state)

    def _split_state(self) -> tuple[torch.nn.Module, torch.optim.Optimizer, dict[str, Any]]:
        """What the processes save and load in parts."""
        averages = {name: average.shadow for name, average in self.averages.items()}
        return self.policy.model, self.optimizer.optimizer, averages

    def _restore(self, state: dict[str, Any]) -> None:
        if "parts" in state:
            load_parts(self.file.parent / state["parts"], *self._split_state())
            return
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, average in self.averages.items():
            average.load(state["averages"][name])


def _progress(line: dict[str, Any], steps: int, speed: float) -> str:
    text = f"step {line['step'] + 1}/{steps}: loss {line['loss']:.4f}, e_w {line['e_w']:.4f}"
    if line["implicit_accuracy"] is not None:
        text += f", accuracy {line['implicit_accuracy']:.2f}, margin {line['margin']:+.4f}"
    return f"{text}, gradient {line['grad_norm']:.3g}, {speed:.1f} pairs/s"
