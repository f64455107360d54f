"""What a job computes: forward and backward passes of the transformer, and FLOPs by kind of work and precision.

The last batch of every job is filled up to the full size, as the jobs do it. Jobs that are not listed in WORK have no model.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from pnapo.config.resolve import pairs_of, sampling_of
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS
from pnapo.plan.experiment import Experiment
from pnapo.plan.jobs import Job, pair_count, whole_visits
from pnapo.plan.known import COLOR_TEXTS
from pnapo.plan.models import Backbone

# Batches that no setting names: what the modules say, which a plan cannot import (a test compares them).
IMAGES_AT_ONCE = 16  # pnapo/lab/geometry.py BATCH
REFERENCE_AT_ONCE = 16  # pnapo/training/reference.py ROWS
EMBED_AT_ONCE = 32  # pnapo/backbones/base.py encode_prompts
GEOMETRY_TIMES = 9  # pnapo/lab/geometry.py TIMES
GEOMETRY_PATHS = 4  # the noises that it compares

PROMPT_TOKENS = 64  # of a raw prompt in the safety filter: an assumption


class Work(NamedTuple):
    """Passes of the transformer, one image each, and FLOPs by (kind, precision) of `pnapo.plan.hardware`."""

    forward: int
    backward: int
    flops: Counter


def work(experiment: Experiment, job: Job) -> Work:
    """What a job computes; nothing for one without a model."""
    return WORK[job.rule](experiment, *job.key) if job.rule in WORK else Work(0, 0, Counter())


def filled(count: int, batch: int) -> int:
    """Rows of whole batches."""
    return -(-count // batch) * batch


def _sampling(backbone: Backbone, passes: int, **beside: float) -> Work:
    flops = Counter({("sampling", backbone.dtype): passes * backbone.flops.forward})
    return Work(passes, 0, flops + Counter({("pixels", "tf32"): beside.get("pixels", 0)}))


def _beside(kind: str, bits: str, flops: float) -> Work:
    return Work(0, 0, Counter({(kind, bits): flops}))


def _filter_unsafe(experiment: Experiment) -> Work:
    if experiment.config.prompts.safety.kind == "column":
        return Work(0, 0, Counter())
    return _beside("text and scores", "fp32", (experiment.raw or 0) * experiment.safety.forward(PROMPT_TOKENS))


def _drop_semantic_duplicates(experiment: Experiment) -> Work:
    text = experiment.semantic.text
    return _beside("text and scores", "fp32", (experiment.raw or 0) * text.forward(text.tokens))


def _embed_prompts(experiment: Experiment, name: str, prompts: str) -> Work:
    backbone = experiment.backbones[name]
    count = (
        filled(experiment.prompts(prompts), EMBED_AT_ONCE) + EMBED_AT_ONCE
    )  # the empty prompt has a batch of its own
    return _beside("text and scores", backbone.dtype, count * backbone.embed)


def _generate_pairs(experiment: Experiment, name: str, shard: int) -> Work:
    backbone, settings = experiment.backbones[name], pairs_of(experiment.config, name)
    rows = filled(experiment.shard("", shard), settings.batch)
    return _sampling(backbone, rows * settings.steps * (2 if backbone.true_guidance(settings.guidance) else 1))


def _encode_dataset(experiment: Experiment, name: str, data: str, shard: int) -> Work:
    rows = filled(experiment.shard(data, shard), experiment.config.pairs.batch)
    return _beside("pixels", "tf32", rows * experiment.backbones[name].encode)


def _decode_pairs(experiment: Experiment, name: str, data: str, shard: int) -> Work:
    rows = filled(experiment.shard(data, shard), experiment.config.pairs.batch)
    return _beside("pixels", "tf32", rows * experiment.backbones[name].decode)


def _invert_pairs(experiment: Experiment, name: str, data: str, shard: int) -> Work:
    settings = experiment.config.inversion
    rows = filled(experiment.shard(data, shard), settings.batch)
    return _sampling(experiment.backbones[name], rows * settings.steps * (2 if settings.renoise else 1))


def _truncate_pairs(experiment: Experiment, name: str, shard: int) -> Work:
    """A batch goes on until its last row stops, nearly always close to the end."""
    settings = experiment.config.truncation
    return _sampling(
        experiment.backbones[name], filled(experiment.shard("", shard), settings.batch) * (settings.steps + 1)
    )


def _score(experiment: Experiment, reward: str, images: int, prompts: int) -> Work:
    clip, section = experiment.rewards[reward], experiment.config.rewards[reward]
    texts = (
        0 if section.kind == "aesthetic" else images if clip.joint else prompts
    )  # aesthetic does not look at the prompt
    flops = filled(images, section.batch) * clip.image.forward(clip.image.tokens)
    return _beside("text and scores", "fp32", flops + texts * clip.text.forward(clip.text.tokens))


def _label_pairs(experiment: Experiment, name: str, data: str, reward: str) -> Work:
    return _score(experiment, reward, experiment.pairs(data) * experiment.samples(data), experiment.pairs(data))


def _score_images(experiment: Experiment, name: str, policy: str, testset: str, metric: str) -> Work:
    reward, prompts = experiment.config.metrics[metric].reward, experiment.testsets[testset]
    images = prompts * experiment.config.testsets[testset].images
    if metric in experiment.detectors:
        return _detect(experiment, metric, images)
    if not reward:  # the world's own metrics look at pixels alone
        return Work(0, 0, Counter())
    return _score(experiment, reward, images, prompts)


def _detect(experiment: Experiment, metric: str, images: int) -> Work:
    """Detection, and the colour of one object an image: GenEval asks 294 of its 553 prompts for one or two."""
    detector, settings = experiment.detectors[metric], experiment.config.metrics[metric].mask2former
    clip = detector.clip
    flops = filled(images, settings.batch) * detector.forward(settings.side)
    flops += images * clip.image.forward(clip.image.tokens) + COLOR_TEXTS * clip.text.forward(clip.text.tokens)
    return _beside("text and scores", "fp32", flops)


def _cache_reference(
    experiment: Experiment, name: str, data: str, path: str, times: str, seed: int, visit: int
) -> Work:
    rows = filled(experiment.pairs(data) * experiment.samples(data), REFERENCE_AT_ONCE)
    return _sampling(experiment.backbones[name], rows)


def _train(experiment: Experiment, name: str, run_name: str, seed: int) -> Work:
    """The policy's passes on both sides of every pair, and the reference's that no job of its own has made."""
    backbone, run = experiment.backbones[name], experiment.run(name, run_name)
    loss, total = LOSSES[run.loss], run.steps * run.batch * run.accumulation
    sides = 2 if loss.loser else 1
    made = whole_visits(experiment.config, run) * pair_count(experiment.config, run.data)
    own = _sampling(backbone, sides * (total - made) if loss.reference else 0)
    flops = sides * total * backbone.flops.training(run.adapter, run.gradient_checkpointing)
    return Work(own.forward + sides * total, sides * total, own.flops + Counter({("training", backbone.dtype): flops}))


def _generate_images(experiment: Experiment, name: str, policy: str, testset: str) -> Work:
    backbone, settings = experiment.backbones[name], sampling_of(experiment.config, name, testset)
    rows = filled(experiment.testsets[testset] * settings.images, settings.batch)
    passes = rows * settings.steps * (2 if backbone.true_guidance(settings.guidance) else 1)
    return _sampling(backbone, passes, pixels=rows * backbone.decode)


def _measure_geometry(experiment: Experiment, name: str) -> Work:
    backbone, settings = experiment.backbones[name], pairs_of(experiment.config, name)
    prompts = min(experiment.config.lab.prompts, experiment.pairs(""))
    rows = filled(prompts * settings.samples, IMAGES_AT_ONCE)
    looked = min(GEOMETRY_TIMES, settings.steps - 1) * GEOMETRY_PATHS
    return _sampling(
        backbone, rows * (settings.steps * (2 if backbone.true_guidance(settings.guidance) else 1) + looked)
    )


def _measure_gradients(experiment: Experiment, name: str, *trained) -> Work:
    """A forward and a backward pass of both sides of each pair on each path; of a trained policy the reference's too."""
    backbone = experiment.backbones[name]
    paths = 2 if trained else sum(path.noise != "truncated" for path in PATHS.values())  # claims compare two
    rows = 2 * paths * min(experiment.config.lab.gradients, experiment.pairs(""))
    reference = _sampling(backbone, rows if trained else 0)
    flops = Counter({("training", backbone.dtype): rows * backbone.flops.training("lora")})
    return Work(rows + reference.forward, rows, reference.flops + flops)


WORK: dict[str, Callable[..., Work]] = {
    "filter_unsafe": _filter_unsafe,
    "drop_semantic_duplicates": _drop_semantic_duplicates,
    "embed_prompts": _embed_prompts,
    "generate_pairs": _generate_pairs,
    "encode_dataset": _encode_dataset,
    "decode_pairs": _decode_pairs,
    "invert_pairs": _invert_pairs,
    "truncate_pairs": _truncate_pairs,
    "label_pairs": _label_pairs,
    "cache_reference": _cache_reference,
    "train": _train,
    "generate_images": _generate_images,
    "score_images": _score_images,
    "measure_geometry": _measure_geometry,
    "measure_gradients": _measure_gradients,
    "measure_policy_gradients": _measure_gradients,
}
