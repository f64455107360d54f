"""The largest GPU memory of a job: weights, gradients, AdamW's moments, and activations, as this library holds them.

Training, bytes for each trained parameter: 4 the weight (float32, also beside a bfloat16 base), 4 its gradient, 8 AdamW's
moments (2 in 8 bits), 4 each moving average; full fine-tuning of a bfloat16 model holds 2 more while a pass lasts, the copies
that autocast makes. A LoRA run holds the frozen base once, and a full one a second model only if the reference is computed in
its steps. A sharded run divides all this but the second model by the number of GPUs, and gathers two blocks at a time instead
of autocast's copies, with the gradient of one of them. Before it begins every GPU holds the whole model as it is loaded.

Activations that a backward pass waits for, in bytes for each token, unit of width and block, counted by hand from what a block
of joint attention saves with fused attention (SAVED; docs/cost.md has the list). A frozen linear layer needs no input for its
gradient, so LoRA saves less. Forward passes without gradient hold one block at a time.

Not measured on a GPU yet. To what is counted come 5 % for fragments and 1 GiB for CUDA's own, both assumed.
"""

from collections.abc import Callable

from pnapo.config.resolve import pairs_of, sampling_of
from pnapo.config.schema import Run
from pnapo.objectives.losses import LOSSES
from pnapo.plan.encoders import Clip, Tower
from pnapo.plan.experiment import Experiment
from pnapo.plan.jobs import Job
from pnapo.plan.models import Backbone
from pnapo.plan.work import EMBED_AT_ONCE, EMBEDDED_AT_ONCE, IMAGES_AT_ONCE, REFERENCE_AT_ONCE

GIB = 2**30
FRAGMENTS, CUDA = 1.05, 1.0  # factor, and GiB
SAVED = {("full", "bf16"): 50, ("full", "fp32"): 84, ("lora", "bf16"): 32, ("lora", "fp32"): 48}
WIDTHS = 16  # of a token that one block holds at once: its input, queries, keys, values, and the MLP of 4 widths
PICTURES = 3  # copies of the widest activation that the VAE holds at once
MASKS = 100  # instances of an image at most (pnapo/detectors/instances.py MOST)
MOMENTS = {"adamw": 8, "adamw_8bit": 2}  # bytes for each trained parameter; the scales of 8-bit blocks are left out
SAFETY_TOKENS = 512  # the longest prompt of the safety filter


def peak(experiment: Experiment, job: Job) -> float | None:
    """GiB of GPU memory at most; None for a job without a model."""
    held = MEMORY[job.rule](experiment, *job.key) if job.rule in MEMORY else 0
    return held / GIB * FRAGMENTS + CUDA if held else None


def weights(backbone: Backbone) -> float:
    """Bytes of the transformer as it is loaded."""
    return (backbone.transformer.parameters + backbone.transformer.buffers) * backbone.itemsize


def inference(backbone: Backbone, rows: int) -> float:
    """Bytes of a forward pass of `rows` images without gradient."""
    return rows * backbone.tokens * backbone.transformer.width * WIDTHS * backbone.itemsize


def activations(backbone: Backbone, rows: int, adapter: str, checkpointing: bool = False) -> float:
    """Bytes that the backward pass of `rows` images waits for; with `checkpointing` each block's input, and one block's."""
    block = rows * backbone.tokens * backbone.transformer.width
    saved, blocks = SAVED[adapter, backbone.dtype], backbone.transformer.blocks
    return block * (blocks * backbone.itemsize + saved if checkpointing else blocks * saved)


def trained(backbone: Backbone, run: Run) -> int:
    """Parameters that a run trains."""
    transformer = backbone.transformer
    return transformer.adapted * run.lora_rank if run.adapter == "lora" else transformer.parameters


def gathered(backbone: Backbone) -> float:
    """Bytes of a split model's blocks that are whole at a time: the current one and the next, and one's gradient, also in
    float32 while it is averaged. A block of joint attention, the largest, has 36·d² weights (architecture.py), 7·d² more with a
    second attention."""
    transformer, size = backbone.transformer, backbone.itemsize
    block = (36 + (7 if transformer.own else 0)) * transformer.width**2
    return block * (3 * size + 4)


def training(backbone: Backbone, run: Run, gpus: int = 1) -> float:
    """Bytes of a training on each of `gpus` GPUs, if it is sharded: the largest of reading the reference before the first
    step, making the policy, and a step."""
    base, number, loss = weights(backbone), trained(backbone, run), LOSSES[run.loss]
    rows = run.batch * (2 if loss.loser else 1)
    averages = (run.ema > 0) + (run.reference_ema > 0)
    parts = gpus if run.sharded else 1
    state = number * (4 + 4 + MOMENTS[run.optimizer] + 4 * averages) / parts
    if run.adapter == "lora":
        held, making = base + state, base
    else:
        beside = loss.reference and run.reference == "compute" and not run.reference_ema
        copies = gathered(backbone) if parts > 1 else 2 * number if backbone.dtype == "bf16" else 0
        held, making = state + copies + (base if beside else 0), base + 4 * number / parts
    before = base + inference(backbone, REFERENCE_AT_ONCE) if loss.reference else 0
    return max(before, making, held + activations(backbone, rows, run.adapter, run.gradient_checkpointing))


def _texts(tower: Tower, rows: int, tokens: int, size: int) -> float:
    """Bytes of a text encoder's forward pass: one layer, with its attention unfused and its softmax in float32."""
    return rows * (tokens * (4 * tower.width + tower.hidden) * size + tower.heads * tokens**2 * (2 * size + 4))


def _embed_prompts(experiment: Experiment, name: str, prompts: str) -> float:
    """The text encoders, and what they made of some hundred prompts, in float32: beside the last batch of them, or twice
    while all become one tensor."""
    backbone = experiment.backbones[name]
    size = backbone.itemsize
    held = sum(tower.parameters for tower, _ in backbone.texts) * size
    made = 4 * backbone.embedding * min(EMBEDDED_AT_ONCE, experiment.prompts(prompts))
    return held + made + max(made, *(_texts(tower, EMBED_AT_ONCE, tokens, size) for tower, tokens in backbone.texts))


def _filter_unsafe(experiment: Experiment) -> float:
    if experiment.config.prompts.safety.kind == "column":
        return 0.0
    tower, batch = experiment.safety, experiment.config.prompts.safety.batch
    return 4 * tower.parameters + batch * min(SAFETY_TOKENS, tower.tokens) * (8 * tower.width + tower.hidden) * 4


def _drop_semantic_duplicates(experiment: Experiment) -> float:
    clip, batch = experiment.semantic, experiment.config.prompts.semantic.batch
    return 4 * clip.parameters + _texts(clip.text, batch, clip.text.tokens, 4)


def _sampled(backbone: Backbone, batch: int, guidance: float = 1.0) -> float:
    return weights(backbone) + inference(backbone, batch * (2 if backbone.true_guidance(guidance) else 1))


def _generate_pairs(experiment: Experiment, name: str, shard: int) -> float:
    settings = pairs_of(experiment.config, name)
    return _sampled(experiment.backbones[name], settings.batch, settings.guidance)


def _pixels(backbone: Backbone, batch: int, widest: float) -> float:
    """Bytes of the VAE, in float32, and of `batch` pictures in it."""
    return 4 * (backbone.vae.parameters + PICTURES * batch * widest * backbone.resolution**2)


def _encode_dataset(experiment: Experiment, name: str, data: str, shard: int) -> float:
    backbone = experiment.backbones[name]
    return _pixels(backbone, experiment.config.pairs.batch, backbone.vae.encode_widest)


def _decode_pairs(experiment: Experiment, name: str, data: str, shard: int) -> float:
    backbone = experiment.backbones[name]
    return _pixels(backbone, experiment.config.pairs.batch, backbone.vae.decode_widest)


def _scored(clip: Clip, batch: int) -> float:
    towers = (clip.image, clip.text) if clip.joint else (clip.image,)
    held = max(tower.tokens * (6 * tower.width + tower.hidden) for tower in towers)
    return clip.size * (clip.parameters + batch * held)


def _label_pairs(experiment: Experiment, name: str, data: str, reward: str) -> float:
    return _scored(experiment.rewards[reward], experiment.config.rewards[reward].batch)


def _score_images(experiment: Experiment, name: str, policy: str, testset: str, metric: str) -> float:
    reward = experiment.config.metrics[metric].reward
    if metric in experiment.detectors:
        return _detected(experiment, experiment.backbones[name], metric)
    return _scored(experiment.rewards[reward], experiment.config.rewards[reward].batch) if reward else 0.0


def _detected(experiment: Experiment, backbone: Backbone, metric: str) -> float:
    """Bytes of detector and CLIP, a batch in the detector, and as many masks of one image as it can find."""
    detector, settings = experiment.detectors[metric], experiment.config.metrics[metric].mask2former
    masks = MASKS * max(settings.side, backbone.resolution) ** 2 * 9  # logits, probabilities, and what is inside
    batch = settings.batch * settings.side**2 * detector.bytes_a_pixel
    return 4 * (detector.parameters + detector.clip.parameters) + batch + masks


def _generate_images(experiment: Experiment, name: str, policy: str, testset: str) -> float:
    """Transformer and VAE are loaded together; pictures are decoded as many at once as were made."""
    backbone, settings = experiment.backbones[name], sampling_of(experiment.config, name, testset)
    sampling = _sampled(backbone, settings.batch, settings.guidance) + 4 * backbone.vae.parameters
    return max(sampling, weights(backbone) + _pixels(backbone, settings.batch, backbone.vae.decode_widest))


def _train(experiment: Experiment, name: str, run: str, seed: int) -> float:
    return training(experiment.backbones[name], experiment.run(name, run), experiment.gpus)


def _measure_gradients(experiment: Experiment, name: str, *trained_policy) -> float:
    """A LoRA adapter and both sides of one pair; the gradients of all pairs lie in the host's memory."""
    backbone, run = experiment.backbones[name], Run()
    return weights(backbone) + 8 * trained(backbone, run) + activations(backbone, 2, "lora")


MEMORY: dict[str, Callable[..., float]] = {
    "filter_unsafe": _filter_unsafe,
    "drop_semantic_duplicates": _drop_semantic_duplicates,
    "embed_prompts": _embed_prompts,
    "generate_pairs": _generate_pairs,
    "encode_dataset": _encode_dataset,
    "decode_pairs": _decode_pairs,
    "invert_pairs": lambda e, name, *_: _sampled(e.backbones[name], e.config.inversion.batch),
    "truncate_pairs": lambda e, name, *_: _sampled(e.backbones[name], e.config.truncation.batch),
    "label_pairs": _label_pairs,
    "cache_reference": lambda e, name, *_: _sampled(e.backbones[name], REFERENCE_AT_ONCE),
    "train": _train,
    "generate_images": _generate_images,
    "score_images": _score_images,
    "measure_geometry": lambda e, name: _sampled(e.backbones[name], IMAGES_AT_ONCE, pairs_of(e.config, name).guidance),
    "measure_gradients": _measure_gradients,
    "measure_policy_gradients": _measure_gradients,
}
