"""LAION's aesthetic predictor v2 (improved-aesthetic-predictor): an MLP on unit CLIP image embeddings, 1–10.

The head is D-1024-128-64-16-1 with dropout between and no activations (as published); its official file is the state dict
`sac+logos+ava1-l14-linearMSE.pth` for CLIP ViT-L/14.
"""

import numpy as np
import torch
from torch import nn

from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.rewards.base import Scorer
from pnapo.rewards.files import load_into, read_state_dict
from pnapo.rewards.openclip import OpenCLIP


class Head(nn.Module):
    """The published head; the names of its weights are those of the official file (`layers.0.weight`, …)."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, 1024),
            nn.Dropout(0.2),
            nn.Linear(1024, 128),
            nn.Dropout(0.2),
            nn.Linear(128, 64),
            nn.Dropout(0.1),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Ratings [N, 1] of unit embeddings [N, D]."""
        return self.layers(features)


def new_head(width: int) -> Head:
    """An untrained head for embeddings of `width`."""
    return Head(width)


class Aesthetic(Scorer):
    """Raw score: the rating, about 1–10. The prompt is not looked at."""

    display_scale = 1.0

    def __init__(self, reward: Reward, device: str):
        if not reward.checkpoint:
            raise UserError("rewards: kind aesthetic needs `checkpoint`, the weights of the head")
        self.clip = OpenCLIP(reward.model, weights=reward.weights, device=device)
        state = read_state_dict(reward.checkpoint)
        first = state.get("layers.0.weight")
        self.head = new_head(first.shape[1] if first is not None and first.ndim == 2 else 768)
        load_into(self.head, state, reward.checkpoint)
        width, given = self.head.layers[0].in_features, self.clip.texts([""]).shape[1]
        if width != given:
            raise UserError(f"{reward.checkpoint}: the head reads {width} features, its CLIP gives {given}")
        self.head.float().eval().requires_grad_(False)
        self.batch = reward.batch

    def texts(self, prompts: list[str]) -> torch.Tensor:
        return torch.empty(len(prompts), 0)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return self.clip.prepare(image)

    @torch.no_grad()
    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return self.head(self.clip.pixels(pixels))[:, 0]
