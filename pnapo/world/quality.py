"""How good a world is: the figures that its manifest states, measured on the finished weights through the product's code."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pnapo.backbones import Backbone, load_backbone
from pnapo.benchmarks.geneval import judge
from pnapo.config.schema import Reward, Safety, Source
from pnapo.flow.random import prior_noise
from pnapo.pairs.sampler import sample
from pnapo.rewards import load_reward
from pnapo.scripting import pick_device
from pnapo.world.build import world_model
from pnapo.world.detector import WorldDetector
from pnapo.world.raw_prompts import write_raw
from pnapo.world.render import arrange, draw
from pnapo.world.samples import Samples, load_samples
from pnapo.world.testsets import write_list
from pnapo.world.utility import THRESHOLD
from pnapo.world.vae import random_scenes, reconstruct

STEPS = 20


def detector_accuracy(change: Callable[[np.ndarray], np.ndarray], count: int = 1200) -> float:
    """Share of rendered pictures, after `change`, in which the detector finds exactly what was drawn."""
    rng = np.random.default_rng(7)
    pictures = [arrange(scene, rng) for scene in random_scenes(rng, count)]
    images = change(np.stack([draw(p) for p in pictures]))
    right = 0
    for picture, image in zip(pictures, images):
        found = sorted((d.label, d.color) for d in WorldDetector().detect(image) if d.score > THRESHOLD)
        right += found == sorted((o.shape, o.color) for o in picture.objects)
    return right / count


def geneval(backbone: Backbone, images: int = 4) -> dict[str, float]:
    """GenEval's accuracy by task and overall, without guidance."""
    table = write_list("geneval", None)
    cond = backbone.encode_prompts(list(table["prompt"]))
    cond = {name: value.repeat_interleave(images, 0) for name, value in cond.items()}
    noise = [prior_noise(3, p, k, backbone.latent_shape) for p in table["prompt_id"] for k in range(images)]
    latents = sample(backbone, torch.from_numpy(np.stack(noise)), cond, steps=STEPS, batch=32)
    pictures = np.concatenate([backbone.decode(part) for part in latents.split(64)])
    detector, right = WorldDetector(), {}
    for index, picture in enumerate(pictures):
        entry = json.loads(table["geneval"].iloc[index // images])
        correct, _ = judge(entry, detector.detect(picture), lambda d, picture=picture: detector.color_of(picture, d))
        right.setdefault(entry["tag"], []).append(correct)
    tasks = {tag: float(np.mean(values)) for tag, values in right.items()}
    return {**tasks, "overall": float(np.mean(list(tasks.values())))}


def agreement(reward: Reward, samples: Samples) -> float:
    """Share of held-out pairs of unequal utility that a reward orders as the true utility does."""
    scorer = load_reward(reward, pick_device("auto"))
    captions = [text for text in samples.captions for _ in (0, 1)]
    scores = scorer.score(list(samples.images.reshape(-1, 32, 32, 3)), captions).reshape(-1, 2)
    gap, truth = np.diff(scores)[:, 0], np.diff(samples.utilities)[:, 0]
    return float((np.sign(gap) == np.sign(truth))[truth != 0].mean())


def safety(folder: Path) -> dict[str, float]:
    """Recall of unsafe prompts and share of safe ones removed, on raw prompts of another seed."""
    from pnapo.prompts.safety import remove_unsafe

    source, truth = write_raw(Source(seed=1234))
    settings = Safety(checkpoint=str(folder / "toxic.ckpt"), config_path=str(folder))
    table = source[["prompt"]].assign(prompt_id=truth["prompt_id"])
    _, removed = remove_unsafe(table, settings, pick_device("auto"))
    gone = truth["prompt_id"].isin(removed["prompt_id"])
    return {"recall": float(gone[truth["unsafe"]].mean()), "false_positives": float(gone[~truth["unsafe"]].mean())}


def measure(world: Path) -> dict:
    """Every figure of the world's manifest, rounded to four digits."""
    held = {kind: load_samples(world / f"samples_{kind}" / "heldout.safetensors") for kind in ("sd3", "flux")}
    hps = Reward(kind="hps", model=f"local-dir:{world / 'hps'}", checkpoint=str(world / "hps" / "HPS_v2.1.pt"))
    pickscore = Reward(kind="pickscore", model=str(world / "pickscore"))
    backbones = {k: load_backbone(world_model(k, world), {"transformer", "text", "vae"}) for k in ("sd3", "flux")}
    vae = backbones["sd3"].parts["vae"]
    found = {
        "detector": {
            "renders": detector_accuracy(lambda images: images),
            "reconstructions": detector_accuracy(lambda images: reconstruct(vae, images)),
        },
        "geneval": {kind: geneval(backbone) for kind, backbone in backbones.items()},
        "agreement_with_utility": {
            name: {kind: agreement(reward, samples) for kind, samples in held.items()}
            for name, reward in (("hps", hps), ("pickscore", pickscore))
        },
        "safety": safety(world / "detoxify"),
    }
    return json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))
