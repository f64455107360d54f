"""Pictures by the base models, with their true utilities: what the world's people vote on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pnapo.artifacts import prompt_id, read_metadata, read_tensors, write_tensors
from pnapo.backbones import Backbone
from pnapo.flow.random import prior_noise
from pnapo.pairs.sampler import sample
from pnapo.world import utility
from pnapo.world.captions import scene_from_json, scene_to_json, training_caption
from pnapo.world.scenes import BACKGROUNDS, FAMILIES, Scene, scenes_of


@dataclass(frozen=True)
class Samples:
    """Pairs of pictures: images uint8 [N, 2, 32, 32, 3], true utilities [N, 2], a caption and scene of each pair."""

    images: np.ndarray
    utilities: np.ndarray
    captions: list[str]
    scenes: list[Scene]

    def of(self, rows: Sequence[int]) -> "Samples":
        return Samples(
            self.images[rows], self.utilities[rows], [self.captions[i] for i in rows], [self.scenes[i] for i in rows]
        )


def joined(*parts: Samples) -> Samples:
    """Several sets of samples as one."""
    return Samples(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.utilities for part in parts]),
        [caption for part in parts for caption in part.captions],
        [scene for part in parts for scene in part.scenes],
    )


def draw_captions(count: int, splits: Sequence[str], rng: np.random.Generator) -> list[tuple[Scene, str]]:
    """Scenes of the given splits in equal shares of the families, two thirds with a background, and captions."""
    pools = {f: [s for split in splits for s in scenes_of(split, f)] for f in FAMILIES}
    pools = {f: pool for f, pool in pools.items() if pool}
    drawn = []
    for _ in range(count):
        pool = pools[list(pools)[rng.integers(len(pools))]]
        background = list(BACKGROUNDS)[rng.integers(3)] if rng.random() < 2 / 3 else None
        scene = replace(pool[rng.integers(len(pool))], background=background)
        drawn.append((scene, training_caption(scene, rng)))
    return drawn


def make_samples(backbone: Backbone, count: int, splits: Sequence[str], *, steps: int, seed: int, log) -> Samples:
    """Two pictures by the base model for each of `count` captions."""
    drawn = draw_captions(count, splits, np.random.default_rng(seed))
    images = []
    for start in range(0, count, 64):
        chunk = drawn[start : start + 64]
        cond = backbone.encode_prompts([text for _, text in chunk])
        twice = {name: value.repeat_interleave(2, 0) for name, value in cond.items()}
        noise = np.stack(
            [
                prior_noise(seed, prompt_id(f"{start + i} {text}"), k, backbone.latent_shape)
                for i, (_, text) in enumerate(chunk)
                for k in (0, 1)
            ]
        )
        latents = sample(backbone, torch.from_numpy(noise), twice, steps=steps, batch=32)
        images.append(backbone.decode(latents).reshape(-1, 2, 32, 32, 3))
        if start % 1024 == 0:
            log(f"samples {start}/{count}")
    pictures = np.concatenate(images)
    scores = [[utility.score(image, scene) for image in pair] for pair, (scene, _) in zip(pictures, drawn)]
    return Samples(pictures, np.array(scores), [text for _, text in drawn], [scene for scene, _ in drawn])


def save_samples(path: Path, samples: Samples) -> None:
    """Write samples as safetensors; captions and scenes go into the metadata."""
    tensors = {"images": torch.from_numpy(samples.images), "utilities": torch.from_numpy(samples.utilities)}
    text = {"captions": json.dumps(samples.captions), "scenes": json.dumps([scene_to_json(s) for s in samples.scenes])}
    write_tensors(path, tensors, text)


def load_samples(*paths: Path) -> Samples:
    """Read one or several files of samples."""
    return joined(*map(_load, paths))


def _load(path: Path) -> Samples:
    tensors, text = read_tensors(path), read_metadata(path)
    scenes = [scene_from_json(scene) for scene in json.loads(text["scenes"])]
    return Samples(tensors["images"].numpy(), tensors["utilities"].numpy(), json.loads(text["captions"]), scenes)
