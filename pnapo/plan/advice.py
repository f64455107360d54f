"""What to change where a job does not fit on a GPU: the least that helps, among what the configuration has."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from pnapo.config.schema import Config, Run
from pnapo.plan.experiment import Experiment
from pnapo.plan.hardware import GPUS, Gpu
from pnapo.plan.jobs import Job
from pnapo.plan.memory import CUDA, FRAGMENTS, GIB, peak, training

PROCESSES = (2, 4, 8, 16)  # that a sharded run may be split over
BATCHES = {  # where the configuration says how many rows a rule has in memory at once
    "filter_unsafe": "prompts.safety.batch",
    "drop_semantic_duplicates": "prompts.semantic.batch",
    "generate_pairs": "pairs.batch",
    "encode_dataset": "pairs.batch",
    "decode_pairs": "pairs.batch",
    "invert_pairs": "inversion.batch",
    "truncate_pairs": "truncation.batch",
}


def advice(experiment: Experiment, gpu: Gpu, failing: list[tuple[Job, float]]) -> list[str]:
    """A line for each job, the largest of its kind, that needs more GiB than the GPU has."""
    lines, runs = [], {}
    for job, held in failing:
        where = f" on {job.key[0]}" if job.key and job.key[0] in experiment.backbones else ""
        if job.rule == "train":
            told = f"{where}: {held:.0f} GiB; {_training(experiment, gpu, *job.key[:2])}"
            runs.setdefault(told, []).append(experiment.owners.get(job.key[1], job.key[1]))
        else:
            lines.append(f"{job.rule}{where}: {held:.0f} GiB; {_other(experiment, gpu, job, held)}")
    lines += [f"train {', '.join(names)}{told}" for told, names in runs.items()]
    shared = (
        "more processes (docs/slurm.md) share a step's `accumulation`: its time, and its memory if the run is sharded"
    )
    return [*lines, shared] if runs else lines


def unshared(experiment: Experiment) -> list[str]:
    """A line for each sharded run of whose forward passes a step the GPUs cannot make equally many: it would not begin."""
    found = {}
    for job in experiment.jobs:
        if job.rule == "train" and (passes := experiment.run(*job.key[:2]).accumulation) % experiment.gpus_of(job):
            found[job.key[0], experiment.owners.get(job.key[1], job.key[1])] = passes
    return [
        f"train {run} on {backbone}: {experiment.gpus} GPUs cannot share `accumulation: {passes}`; make it a multiple of "
        f"{experiment.gpus} (and `batch` smaller)"
        for (backbone, run), passes in found.items()
    ]


def _training(experiment: Experiment, gpu: Gpu, backbone: str, name: str) -> str:
    """The first change of a run that fits; else what it would take."""
    run, model = experiment.run(backbone, name), experiment.backbones[backbone]
    for changed, gpus, told in _changes(run, experiment.gpus):
        needed = training(model, changed, gpus) / GIB * FRAGMENTS + CUDA
        if needed <= gpu.memory:
            return f"{told} takes {needed:.0f} GiB"
    return f"batch 1, gradient checkpointing and LoRA still take {needed:.0f} GiB: {larger(needed)}"


def _changes(run: Run, gpus: int) -> Iterator[tuple[Run, int, str]]:
    """A run, the GPUs it is on, and how it was changed: first what changes no result, then rounding alone, at last the method.

    Each with ever smaller batches of the same step.
    """
    sparing, full = {"gradient_checkpointing": True}, run.adapter == "full"
    ways: list[tuple[dict[str, Any], int]] = [({}, gpus), (sparing, gpus)]
    if not run.sharded:
        ways += [({"optimizer": "adamw_8bit", **more}, gpus) for more in ({}, sparing)]
    if full:
        ways += [({"sharded": True, **more}, count) for count in PROCESSES for more in ({}, sparing)]
    ways += [({"adapter": "lora", "sharded": False, **more}, gpus) for more in ({}, sparing)] if full else []
    for way, count in ways:
        for size in (size for size in range(run.batch, 0, -1) if run.batch % size == 0):
            more = run.accumulation * (run.batch // size)
            if way.get("sharded") and more % count:
                continue
            changed = run.model_copy(update={**way, "batch": size, "accumulation": more})
            new = {key: value for key, value in changed if value != getattr(run, key)}
            told = ", ".join(f"{key}: {str(value).lower()}" for key, value in new.items())
            places = f"on {count} GPUs" if way.get("sharded") else ""
            yield changed, count, " ".join(filter(None, (told and f"`{told}`", places)))


def _other(experiment: Experiment, gpu: Gpu, job: Job, held: float) -> str:
    """The setting that says how many rows are in memory at once, if one does, and at which value the job fits."""
    path = BATCHES.get(job.rule)
    if job.rule == "generate_images":
        own = experiment.config.models[job.key[0]].tests.batch
        path = f"models.{job.key[0]}.tests.batch" if own else f"testsets.{job.key[2]}.batch"
    if job.rule == "label_pairs":
        path = f"rewards.{job.key[2]}.batch"
    if job.rule == "score_images":
        metric = job.key[3]
        path = f"rewards.{experiment.config.metrics[metric].reward}.batch"
        if metric in experiment.detectors:
            path = f"metrics.{metric}.mask2former.batch"
    if not path:
        return f"no setting makes it smaller but the model's resolution: {larger(held)}"
    whole = experiment.config.model_dump()
    *outer, last = path.split(".")
    section = reduce(lambda inner, name: inner[name], outer, whole)
    while section[last] > 1:
        section[last] //= 2
        held = peak(Experiment(Config.model_validate(whole), experiment.gpus), job)
        if held <= gpu.memory:
            return f"`{path}: {section[last]}` takes {held:.0f} GiB"
    return f"`{path}: 1` still takes {held:.0f} GiB: {larger(held)}"


def larger(needed: float) -> str:
    """Some GPUs of the table that have so many GiB."""
    names = [name for name, gpu in GPUS.items() if gpu.memory >= needed]
    if not names:
        return "no GPU in the table has as much"
    return f"it takes another GPU ({', '.join(names[:3])}{', …' * (len(names) > 3)})"
