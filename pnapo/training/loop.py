"""A training from its parts to its checkpoint: the same for every method."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pnapo.artifacts.parts import fingerprint
from pnapo.backbones import Backbone
from pnapo.config.schema import Run, Watch
from pnapo.errors import UserError
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.schedules import SCHEDULES
from pnapo.refusals import about
from pnapo.training.adapters import ADAPTERS, Policy
from pnapo.training.batches import Batches
from pnapo.training.checkpoint import assemble, publish
from pnapo.training.crew import Crew
from pnapo.training.lookup import Beside, Computed, ReferenceErrors, Table, why_in_each_step
from pnapo.training.meter import Meter
from pnapo.training.reference import Reference
from pnapo.training.session import LOGS, Log, Session, empty
from pnapo.training.settings import resolve_settings
from pnapo.training.step import Learner
from pnapo.training.tracker import Follower, Tracker

if TYPE_CHECKING:
    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs


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
    watch: Watch | None = None,
    tracker: Tracker | None = None,
    log: Log = print,
) -> None:
    """Train one run and write its checkpoint folder `out`; an interrupted training goes on where its last state was.

    Its weights are those after `stop` steps, one of the run's snapshots; by default those after the last. Trouble that `watch`
    stops a training for leaves the weights from before it in their place, and in that of later snapshots.

    Where several processes were launched (`pnapo.processes`), each calls this with the same arguments, and the first writes.
    A guidance-distilled model embeds the guidance that the pairs were made with. `reference` are manifests of visits
    (`make_visit`) whose errors need not be computed again. A `tracker` is told the lines of the log. The backbone is left
    as it was; only full fine-tuning that needs no reference in its steps frees the backbone's weights, so that one model is
    in memory, not two.
    Raises UserError if the pairs do not fit the backbone, if a file of `reference` does not fit, if the
    processes cannot share the forward passes of a step, or if training diverges; Terminated, with a state to go on from, if
    it is asked to end.
    """
    out, crew = Path(out), Crew(backbone.device, backbone.dtype, run.accumulation)
    meter, log = Meter(backbone.device, crew), log if crew.first else _silent
    loss, reason = LOSSES[run.loss], why_in_each_step(run)
    if loss.reference and run.reference == "cache" and reason:
        raise UserError(f"{reason}; set `reference: compute` for this run")
    settings = resolve_settings(backbone=backbone, pairs=pairs, run=run, seed=seed, draw_seed=draw_seed, stop=stop)
    # What was kept of a training goes on if all that it is made from is the same: the data and these sources, too.
    key = fingerprint([settings, pairs.digest, embeddings.digest], __file__)
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
    with crew.workspace(out) as work, about(work):
        source = Reference(backbone, batches.draws, settings["guidance"])
        table = None
        if loss.reference and run.reference == "cache":
            total = run.steps * run.batch * run.accumulation
            table = Table(source, batches, total, reference, work=work, key=key, log=log, crew=crew)
        policy = ADAPTERS[run.adapter](backbone, run, seed)
        try:
            if table or not loss.reference or run.reference_ema:
                policy.forget_reference()
            known = table if table or not loss.reference else _in_each_step(source, batches, policy)
            learner = Learner(backbone, policy, batches, known, settings["guidance"], crew, meter)
            session = Session(learner, settings, key, work, watch or Watch(), log)
            follower = Follower(tracker, settings, session.start, log) if tracker and crew.first else None
            cost = session.optimize(follower)
            finished = empty(work / "checkpoint") if crew.first else None
            if settings["stop"] == run.steps and not session.stopped:
                learner.save_weights(finished)
            if finished:
                warned = session.warned()
                assemble(finished, out.name, settings, session.weights_after, [work / name for name in LOGS], warned)
                publish(finished, out, settings, cost)
        finally:
            policy.close()


def _in_each_step(source: Reference, batches: Batches, policy: Policy) -> ReferenceErrors:
    if batches.run.reference_ema or LOSSES[batches.run.loss].deviation:
        return Beside(source, policy, len(batches.sides), batches.run.reference_ema)
    return Computed(source, batches, policy)


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
