"""Bytes on disk: what each job leaves, what it holds only while it runs, and what is fetched.

Tensors are counted as they are stored: noise and latent of a sample in float32, embeddings in the text encoders' precision,
checkpoints in the model's (a LoRA adapter: float32), 12 bytes of reference error and key for each sample and visit. Images are
PNGs of PNG bytes a pixel, an assumption that fits photographs. Tables of labels and scores, logs and the report are left out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pnapo.needs import record_of
from pnapo.plan import known
from pnapo.plan.experiment import Experiment
from pnapo.plan.jobs import Job
from pnapo.plan.memory import MOMENTS, trained
from pnapo.plan.models import Backbone

PNG = 1.6  # bytes a pixel
LATENT = 4  # bytes a number, float32
AVERAGES = 4  # bytes a trained parameter, each moving average


class Disk(NamedTuple):
    """Bytes that a job leaves, and that it holds beside them while it runs."""

    kept: float = 0.0
    scratch: float = 0.0


def disk(experiment: Experiment, job: Job) -> Disk:
    return DISK[job.rule](experiment, *job.key) if job.rule in DISK else Disk()


def _semantic(experiment: Experiment) -> Disk:
    size = (experiment.raw or 0) * experiment.semantic.text.width * 4
    return Disk(size, size)


def _embeddings(experiment: Experiment, name: str, prompts: str) -> Disk:
    backbone = experiment.backbones[name]
    return Disk((experiment.prompts(prompts) + 1) * backbone.embedding * backbone.itemsize)


def _shard(tensors: int, unfinished: int = 0) -> Callable[..., Disk]:
    """A shard of so many tensors for each sample; `unfinished` of them lie in parts beside it until it is whole."""

    def measure(experiment: Experiment, name: str, *key) -> Disk:
        data, number = key if len(key) == 2 else ("", *key)
        size = experiment.shard(data, number) * experiment.backbones[name].latent * LATENT
        return Disk(tensors * size, unfinished * size)

    return measure


def _decoded(experiment: Experiment, name: str, data: str, shard: int) -> Disk:
    return Disk(experiment.shard(data, shard) * _image(experiment.backbones[name]))


def _images(experiment: Experiment, name: str, policy: str, testset: str) -> Disk:
    count = experiment.testsets[testset] * experiment.config.testsets[testset].images
    return Disk(count * _image(experiment.backbones[name]))


def _image(backbone: Backbone) -> float:
    return PNG * backbone.resolution**2


def _visit(experiment: Experiment, name: str, data: str, *visit) -> Disk:
    return Disk(experiment.pairs(data) * experiment.samples(data) * 12)


def _checkpoint(experiment: Experiment, name: str, run_name: str, seed: int) -> Disk:
    """The weights, once for each snapshot too. The last step's state is kept until all is
    written; a state is written beside the one before, so two are there for a moment."""
    backbone, run = experiment.backbones[name], experiment.run(name, run_name)
    number = trained(backbone, run)
    full = (number + backbone.transformer.buffers) * backbone.itemsize
    state = number * (4 + MOMENTS[run.optimizer] + AVERAGES * ((run.ema > 0) + (run.reference_ema > 0)))
    saves = run.checkpoint_every < run.steps
    size = full if run.adapter == "full" else 4 * number
    copies = 1 + len(run.snapshots)
    return Disk(size * copies, size * copies + (2 if saves else 1) * state)


DISK: dict[str, Callable[..., Disk]] = {
    "drop_semantic_duplicates": _semantic,
    "embed_prompts": _embeddings,
    "generate_pairs": _shard(2, unfinished=1),
    "encode_dataset": _shard(1, unfinished=1),
    "invert_pairs": _shard(2, unfinished=1),
    "truncate_pairs": _shard(2, unfinished=2),
    "decode_pairs": _decoded,
    "cache_reference": _visit,
    "train": _checkpoint,
    "generate_images": _images,
}


class Fetched(NamedTuple):
    """A download: where from, bytes at least, if they are known, and whether it is here already."""

    name: str
    source: str
    size: float | None
    here: bool


def downloads(experiment: Experiment) -> list[Fetched]:
    return [
        Fetched(
            name,
            source := wanted.repo or wanted.url or "",
            1e9 * wanted.size if wanted.size else known.DOWNLOADS.get(source),
            Path(record_of(wanted)).is_file(),
        )
        for name, wanted in experiment.config.downloads.items()
    ]
