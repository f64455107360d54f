"""Train the world's aesthetic head: LAION's MLP on CLIP image embeddings, on how cleanly a picture is drawn."""

from pathlib import Path

import numpy as np
import torch

from pnapo.artifacts import write_checkpoint
from pnapo.rewards.head import Head
from pnapo.world import utility
from pnapo.world.clip import damage, encoders, normalise
from pnapo.world.render import render
from pnapo.world.samples import Samples
from pnapo.world.vae import random_scenes


def ratings(images: np.ndarray) -> np.ndarray:
    """Ratings 1..10 of uint8 pictures [N, 32, 32, 3]: their true drawing quality, stretched."""
    return np.array([1 + 9 * utility.look(image).quality for image in images], np.float32)


def train_aesthetic(clip: torch.nn.Module, samples: Samples, out: Path, *, steps: int, seed: int) -> float:
    """Fit the head on samples and (damaged) renders, write its state dict, return the correlation on held-out ones."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rendered = np.stack([damage(damage(render(s, rng), rng), rng) for s in random_scenes(rng, 2000)])
    drawn = samples.images.reshape(-1, 32, 32, 3)
    images = np.concatenate([drawn[rng.permutation(len(drawn))[:12000]], rendered])
    targets = torch.from_numpy(ratings(images))
    encode_image, _ = encoders(clip.eval())
    with torch.no_grad():
        features = torch.cat([encode_image(normalise(part)) for part in np.array_split(images, 64)])
    order = torch.from_numpy(rng.permutation(len(images)))
    train, held = order[500:], order[:500]
    head = Head(features.shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-3)
    for _ in range(steps):
        rows = train[torch.from_numpy(rng.integers(len(train), size=256))]
        loss = (head(features[rows])[:, 0] - targets[rows]).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    head.eval()
    write_checkpoint(out, {name: value.half() for name, value in head.state_dict().items()})
    with torch.no_grad():
        predicted = head(features[held])[:, 0]
    return float(torch.corrcoef(torch.stack([predicted, targets[held]]))[0, 1])
