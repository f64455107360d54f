"""What every reward is: images and prompts in, one score each out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import torch

WINDOW = 4096  # images whose prompts' features are in memory at once


class Scorer(ABC):
    """A loaded reward. A score is a function of one image's pixels and its prompt.

    `display_scale` is what tables multiply raw scores by (100 for cosines, as all papers print them); `batch` images are
    scored at once.
    """

    display_scale: float = 100.0
    batch: int

    @abstractmethod
    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """What is scored of a uint8 image [H, W, 3]. Threads may call it side by side."""

    @abstractmethod
    def score_prepared(self, pixels: Iterable[torch.Tensor], prompts: Sequence[str]) -> Iterable[np.ndarray]:
        """Raw scores of prepared images, batch by batch."""

    def score(self, images: Iterable[np.ndarray], prompts: Sequence[str]) -> np.ndarray:
        """Raw scores, float32 [N], of uint8 images [H, W, 3] and their prompts."""
        return np.concatenate(list(self.score_prepared(map(self.prepare, images), prompts)))


class NetworkScorer(Scorer):
    """A reward whose network is in this process. `prepare` gives its pixels, float32 [3, S, S]."""

    @abstractmethod
    def texts(self, prompts: list[str]) -> torch.Tensor:
        """What the network needs of prompts, [N, D] on the CPU: their features or their tokens."""

    @abstractmethod
    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Raw scores [B] of prepared pixels [B, 3, S, S] and the `texts` [B, D] of their prompts."""

    def score_prepared(self, pixels: Iterable[torch.Tensor], prompts: Sequence[str]) -> Iterable[np.ndarray]:
        """Raw scores of prepared images, batch by batch; what is needed of a prompt is computed once among WINDOW images.

        Every batch has the same size (the last is filled up), so that a score does not depend on its neighbours.
        """
        pixels, window = iter(pixels), max(1, WINDOW // self.batch) * self.batch
        for start in range(0, len(prompts), window):
            near = prompts[start : start + window]
            where = {prompt: row for row, prompt in enumerate(dict.fromkeys(near))}
            features, rows = self.texts(list(where)), torch.tensor([where[prompt] for prompt in near])
            for part in rows.split(self.batch):
                chunk = torch.stack(list(islice(pixels, len(part))))
                empty = self.batch - len(chunk)
                chunk = torch.cat([chunk, chunk.new_zeros(empty, *chunk.shape[1:])])
                chosen = torch.cat([features[part], features.new_zeros(empty, features.shape[1])])
                yield self.compare(chunk, chosen)[: len(part)].cpu().numpy()
