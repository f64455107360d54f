"""Tune a CLIP on votes drawn from the true utility, as HPSv2 and PickScore were tuned on human choices."""

import math
import time

import numpy as np
import torch
from torch.nn import functional as F

from pnapo.world import utility
from pnapo.world.captions import training_caption
from pnapo.world.clip import CONTEXT, damage, encoders, normalise, tokenize
from pnapo.world.render import arrange, draw
from pnapo.world.samples import Samples
from pnapo.world.scenes import Scene
from pnapo.world.text import clip_tokenizer
from pnapo.world.vae import random_scenes

SHARPNESS = 20.0  # a voter prefers the better of two with probability σ(20·difference of utility)
LOGIT_SCALE = 100.0  # as in CLIP: preference = softmax(100·cosine)


def vote(utilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One vote a pair, int [N]: the index of the picture preferred, from true utilities [N, 2]."""
    first = 1 / (1 + np.exp(-SHARPNESS * (utilities[:, 0] - utilities[:, 1])))
    return (rng.random(len(utilities)) >= first).astype(np.int64)


def rendered_pairs(count: int, rng: np.random.Generator) -> Samples:
    """Pairs of renders: one of the caption's scene, one of a scene that differs a little or is damaged."""
    images, scores, captions, scenes = [], [], [], []
    for scene, other in zip(random_scenes(rng, count), random_scenes(rng, count)):
        picture = arrange(scene, rng)
        named = Scene(scene.family, scene.things, scene.relation, picture.background if rng.random() < 0.5 else None)
        alike = Scene(scene.family, other.things, scene.relation) if len(other.things) == len(scene.things) else other
        wrong = alike if rng.random() < 0.7 else scene
        pair = [damage(draw(picture), rng), damage(draw(arrange(wrong, rng)), rng)]
        if rng.random() < 0.5:
            pair.reverse()
        images.append(np.stack(pair))
        scores.append([utility.score(image, named) for image in pair])
        captions.append(training_caption(named, rng))
        scenes.append(named)
    return Samples(np.stack(images), np.array(scores), captions, scenes)


def train_preference(
    model: torch.nn.Module, samples: Samples, *, steps: int, batch: int, learning_rate: float, seed: int, log
) -> None:
    """Tune all weights in place on votes: three of four pairs are samples, the rest renders."""
    rng = np.random.default_rng(seed)
    tokenizer = clip_tokenizer(CONTEXT)
    encode_image, encode_text = encoders(model)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(LOGIT_SCALE))
    weights = [p for name, p in model.named_parameters() if name != "logit_scale"]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    renders, start, right = rendered_pairs(2048, rng), time.monotonic(), 0.5
    model.train()
    for step in range(1, steps + 1):
        factor = min(step / 50, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        few = batch // 4
        parts = (
            samples.of(rng.integers(len(samples.captions), size=batch - few)),
            renders.of(rng.integers(len(renders.captions), size=few)),
        )
        images = np.concatenate([p.images for p in parts])
        utilities = np.concatenate([p.utilities for p in parts])
        choice = torch.from_numpy(vote(utilities, rng))
        visual = encode_image(normalise(images.reshape(-1, *images.shape[2:]))).view(len(images), 2, -1)
        textual = encode_text(tokenize(tokenizer, parts[0].captions + parts[1].captions))
        logits = LOGIT_SCALE * (visual * textual[:, None]).sum(-1)
        loss = F.cross_entropy(logits, choice)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        better = torch.from_numpy(utilities.argmax(1))
        right += 0.02 * ((logits.argmax(1) == better).float().mean().item() - right)
        if step % max(1, steps // 20) == 0:
            rate = step / (time.monotonic() - start)
            log(f"preference step {step}/{steps} loss {loss.item():.3f}, agrees with utility {right:.3f}, {rate:.1f}/s")
    model.eval()


@torch.no_grad()
def agreement(model: torch.nn.Module, samples: Samples) -> float:
    """Share of pairs of unequal utility that the model orders as the true utility does."""
    encode_image, encode_text = encoders(model.eval())
    tokens = tokenize(clip_tokenizer(CONTEXT), samples.captions)
    scores = []
    for rows in np.array_split(np.arange(len(tokens)), max(1, len(tokens) // 64)):
        pixels = normalise(samples.images[rows].reshape(-1, 32, 32, 3))
        visual = encode_image(pixels).view(len(rows), 2, -1)
        scores.append((visual * encode_text(tokens[rows])[:, None]).sum(-1))
    gap = torch.cat(scores).diff(dim=1)[:, 0].numpy()
    truth = np.diff(samples.utilities, axis=1)[:, 0]
    unequal = truth != 0
    return float((np.sign(gap[unequal]) == np.sign(truth[unequal])).mean())
