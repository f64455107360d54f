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
from pnapo.world.samples import Samples, joined
from pnapo.world.scenes import Scene
from pnapo.world.text import clip_tokenizer
from pnapo.world.vae import random_scenes

SHARPNESS = 20.0  # a voter prefers the better of two with probability σ(20·difference of utility)
EXTRA = 6  # more pairs a caption is voted on with, in each batch
VOTERS = 5  # on each pair, each time it is shown
LOGIT_SCALE = 100.0  # as in CLIP: preference = softmax(100·cosine)


def vote(utilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of `VOTERS` votes for the second picture, float32 [N], from true utilities [N, 2]."""
    second = 1 / (1 + np.exp(-SHARPNESS * (utilities[:, 1] - utilities[:, 0])))
    return (rng.binomial(VOTERS, second) / VOTERS).astype(np.float32)


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


class Ballots:
    """Votes without end on a pool of pictures: for a caption, two pictures of it, or any others of the same batch.

    People judge a misplaced or badly drawn picture as well as a fitting one; so each caption is voted on with its own
    two pictures and with `EXTRA` pairs that hold at least one picture made for another caption.
    """

    def __init__(self, samples: Samples):
        self.samples = samples
        self.seen = [[utility.look(image) for image in pair] for pair in samples.images]

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Pairs to vote on for the captions `rows` [B]: int [B, 1 + EXTRA, 2] into the 2B pictures, and utilities."""
        count = len(rows)
        own = np.stack([2 * np.arange(count), 2 * np.arange(count) + 1], 1)
        other = rng.integers(2 * count, size=(count, EXTRA, 2))
        other[:, : EXTRA // 2, 0] = own[np.arange(count)[:, None], rng.integers(2, size=(count, EXTRA // 2))]
        pairs = np.concatenate([own[:, None], other], 1)
        utilities = np.empty(pairs.shape)
        utilities[:, 0] = self.samples.utilities[rows]
        for caption in range(count):
            scene = self.samples.scenes[rows[caption]]
            for pair in range(1, 1 + EXTRA):
                for side in (0, 1):
                    picture = pairs[caption, pair, side]
                    seen = self.seen[rows[picture // 2]][picture % 2]
                    utilities[caption, pair, side] = utility.utility(seen, scene)
        return pairs, utilities


def train_preference(
    model: torch.nn.Module, samples: Samples, *, steps: int, batch: int, learning_rate: float, seed: int, log
) -> None:
    """Tune all weights in place on votes: three of four captions with samples, the rest with renders."""
    rng = np.random.default_rng(seed)
    tokenizer = clip_tokenizer(CONTEXT)
    encode_image, encode_text = encoders(model)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(LOGIT_SCALE))
    weights = [p for name, p in model.named_parameters() if name != "logit_scale"]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    renders = rendered_pairs(2048, rng)
    ballots, start, right = Ballots(joined(samples, renders)), time.monotonic(), 0.5
    count, few = len(samples.captions), batch // 4
    model.train()
    for step in range(1, steps + 1):
        factor = min(step / 50, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        chosen = (rng.integers(count, size=batch - few), count + rng.integers(len(renders.captions), size=few))
        rows = np.concatenate(chosen)
        part = ballots.samples.of(rows)
        pairs, utilities = ballots.draw(rows, rng)
        share = torch.from_numpy(vote(utilities.reshape(-1, 2), rng))
        visual = encode_image(normalise(part.images.reshape(-1, *part.images.shape[2:])))
        textual = encode_text(tokenize(tokenizer, part.captions))
        logits = LOGIT_SCALE * textual @ visual.T
        logits = logits.gather(1, torch.from_numpy(pairs.reshape(len(rows), -1))).view(-1, 2)
        losses = F.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], share, reduction="none")
        losses = losses.view(len(rows), -1)
        loss = losses[:, 0].mean() + losses[:, 1:].mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        better = torch.from_numpy(utilities[:, 0].argmax(1))
        own = logits.view(len(rows), -1, 2)[:, 0]
        right += 0.02 * ((own.argmax(1) == better).float().mean().item() - right)
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
