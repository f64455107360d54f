"""The jobs that obstacles are put before: a script for every kind of artefact, and what it makes undisturbed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import prompt_id, write_table
from pnapo.config import as_json, load_config, pairs_of
from pnapo.config.schema import Run, Selection
from pnapo.pairs.labels import label

TEXTS = [f"a photo of {count} {color} stars" for count in ("one", "two", "three") for color in ("red", "blue", "green")]
RUN = {"loss": "dpo", "schedule": "dynamic", "steps": 4, "batch": 2, "checkpoint_every": 1, "snapshots": [2]}

SCRIPTS = tuple(
    f"workflow_scripts/{name}.py"
    for name in (
        "select_prompts",
        "embed_prompts",
        "generate_pairs",
        "collect_pairs",
        "decode_pairs",
        "label_pairs",
        "cache_reference",
        "train",
        "score_images",
        "report",
    )
)


@dataclass
class Job:
    """A script, and its arguments for an output folder."""

    name: str
    script: str
    arguments: Callable[[Path], list[str]]
    reads: str  # part of the path of an input
    made: dict[str, bytes] = field(default_factory=dict)  # undisturbed: name → content

    @property
    def size(self) -> int:
        """Bytes that it makes."""
        return sum(map(len, self.made.values()))

    @property
    def largest(self) -> int:
        """Bytes of its largest file."""
        return max(map(len, self.made.values()))


def make_jobs(work: Path, attempt: Callable[[Job, Path, Path], int]) -> list[Job]:
    """Make the inputs below `work`, and run each job once without an obstacle.

    Raises RuntimeError if one of them fails then.
    """
    from trust.obstacles import files

    jobs = _jobs(work / "inputs", lambda job, place: _undisturbed(job, place, work, attempt))
    for job in jobs:
        place = work / "undisturbed" / job.name
        _undisturbed(job, place, work, attempt)
        job.made = files(place)
    return jobs


def _undisturbed(job: Job, place: Path, work: Path, attempt: Callable[[Job, Path, Path], int]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    log = work / f"{job.name}.log"
    if attempt(job, place, log):
        raise RuntimeError(f"{job.name} failed without an obstacle: {log.read_text()}")


def _jobs(inputs: Path, run: Callable[[Job, Path], None]) -> list[Job]:
    config = load_config("config.yaml")
    backbone = config.backbones[0]
    model, pairs = as_json(config.models[backbone]), pairs_of(config, backbone)
    pairs = pairs.model_copy(update={"shards": 1, "steps": 2, "batch": 6})
    prompts, embedded, shard = inputs / "prompts.parquet", inputs / "embeddings", inputs / "pairs" / "samples"
    frame = pd.DataFrame({"prompt_id": [prompt_id(text) for text in TEXTS], "prompt": TEXTS})
    write_table(prompts, frame.assign(cluster=np.arange(len(TEXTS)) % 3))
    cpu = ["--device", "cpu"]
    many = pd.DataFrame({"prompt": [f"prompt {i}" for i in range(4000)]})
    many.insert(0, "prompt_id", [prompt_id(text) for text in many["prompt"]])
    write_table(inputs / "many.parquet", many.assign(cluster=np.arange(len(many)) % 3))

    table = Job(
        "table",
        "workflow_scripts/select_prompts.py",
        lambda out: [
            *("--prompts", str(inputs / "many.parquet")),
            *("--settings", as_json(Selection(count=3000))),
            *("--out", str(out / "selected.parquet")),
        ],
        reads="many.parquet",
    )
    embeddings = Job(
        "embeddings",
        "workflow_scripts/embed_prompts.py",
        lambda out: ["--prompts", str(prompts), "--model", model, *cpu, "--out", str(out / "manifest.json")],
        reads="text_encoder/model.safetensors",
    )
    run(embeddings, embedded)
    shards = Job(
        "shard",
        "workflow_scripts/generate_pairs.py",
        lambda out: [
            *("--prompts", str(prompts), "--embeddings", str(embedded / "manifest.json"), "--model", model, *cpu),
            *("--settings", as_json(pairs), "--shard", "0", "--out", str(out / "shard-00000-of-00001.json")),
        ],
        reads="embeddings.safetensors",
    )
    run(shards, shard)
    images = Job(
        "images",
        "workflow_scripts/decode_pairs.py",
        lambda out: [
            *("--shard", str(shard / "shard-00000-of-00001.json"), "--model", model, *cpu),
            *("--out", str(out / "manifest.json")),
        ],
        reads="shard-00000-of-00001.safetensors",
    )
    collect = Job(
        "pair set",
        "workflow_scripts/collect_pairs.py",
        lambda out: [
            *("--shards", str(shard / "shard-00000-of-00001.json"), "--settings", as_json(pairs)),
            *("--out", str(out / "manifest.json")),
        ],
        reads="shard-00000-of-00001.json",
    )
    run(collect, inputs / "pairs")
    run(images, inputs / "images")
    judged = ["--images", str(inputs / "images" / "manifest.json"), "--reward", as_json(config.rewards["hps"]), *cpu]
    labels = Job(
        "labels",
        "workflow_scripts/label_pairs.py",
        lambda out: [
            *("--pairs", str(inputs / "pairs" / "manifest.json"), "--prompts", str(prompts), *judged),
            *("--out", str(out / "hps.parquet")),
        ],
        reads="images.parquet",
    )
    write_table(inputs / "testset.parquet", frame.assign(geneval="", scene=""))
    scores = Job(
        "scores",
        "workflow_scripts/score_images.py",
        lambda out: [
            *("--testset", str(inputs / "testset.parquet"), "--metric", as_json(config.metrics["hps"]), *judged),
            *("--out", str(out / "hps.parquet")),
        ],
        reads="images.parquet",
    )
    reference = Job(
        "reference",
        "workflow_scripts/cache_reference.py",
        lambda out: [
            *("--pairs", str(inputs / "pairs" / "manifest.json"), "--embeddings", str(embedded / "manifest.json")),
            *("--model", model, *cpu, "--path", "stored", "--time-sampling", "uniform"),
            *("--draw-seed", "0", "--visit", "0", "--out", str(out / "visit-0000.json")),
        ],
        reads="shard-00000-of-00001.safetensors",
    )
    drawn = np.random.default_rng(0).normal(size=(len(TEXTS), pairs.samples))
    write_table(inputs / "labels.parquet", label(list(frame["prompt_id"]), drawn))
    checkpoint = Job(
        "checkpoint",
        "workflow_scripts/train.py",
        lambda out: [
            *("--pairs", str(inputs / "pairs" / "manifest.json"), "--labels", str(inputs / "labels.parquet")),
            *("--embeddings", str(embedded / "manifest.json"), "--model", model, "--run", as_json(Run(**RUN))),
            *("--seed", "0", "--draw-seed", "0", *cpu, "--out", str(out / "pnapo-s0" / "manifest.json")),
        ],
        reads="labels.parquet",
    )
    made = [table, embeddings, shards, collect, images, labels, reference, checkpoint, scores]
    return [*made, _report(inputs / "results")]


def _report(results: Path) -> Job:
    """The page of a finished workflow in small, which the tests of the report make."""
    from tests.report.conftest import RAW, write_results

    write_results(results, RAW, _script)
    return Job(
        "report",
        "workflow_scripts/report.py",
        lambda out: ["--results", str(results), "--config", json.dumps(RAW), "--out", str(out / "report.html")],
        reads="main.csv",
    )


def _script(name: str, *arguments: object) -> None:
    import runpy

    runpy.run_path(f"workflow_scripts/{name}.py")["main"]([str(argument) for argument in arguments])
