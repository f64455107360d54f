"""LAION's aesthetic predictors, a head on unit CLIP image embeddings: a rating from 1 to 10.

Which one it is, the file says by the names of its weights. v2 (christophschuhmann/improved-aesthetic-predictor) is
`sac+logos+ava1-l14-linearMSE.pth` with `layers.0.weight`, …: five linear maps. v1 (LAION-AI/aesthetic-predictor) is
`sa_0_4_vit_l_14_linear.pth` with `weight` and `bias`: one. Both are for OpenAI's CLIP ViT-L/14; papers on preference
optimization use v2.
"""

import numpy as np
import torch
from torch import nn

from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.rewards.base import NetworkScorer
from pnapo.rewards.files import load_into, read_state_dict
from pnapo.rewards.head import Head
from pnapo.rewards.openclip import OpenCLIP


def read_head(path: str) -> tuple[nn.Module, int]:
    """The head in a file, and the width of the embeddings it reads. Raises UserError if it is no version's."""
    state = read_state_dict(path)
    name = "weight" if "weight" in state else "layers.0.weight"
    width = state[name].shape[1] if name in state and state[name].ndim == 2 else 768
    head = nn.Linear(width, 1) if name == "weight" else Head(width)
    load_into(head, state, path)
    return head.float().eval().requires_grad_(False), width


class Aesthetic(NetworkScorer):
    """Raw score: the rating, about 1–10. The prompt is not looked at."""

    display_scale = 1.0

    def __init__(self, reward: Reward, device: str):
        if not reward.checkpoint:
            raise UserError("rewards: kind aesthetic needs `checkpoint`, the weights of the head")
        self.clip = OpenCLIP(reward.model, weights=reward.weights, device=device)
        self.head, width = read_head(reward.checkpoint)
        given = self.clip.texts([""]).shape[1]
        if width != given:
            raise UserError(f"{reward.checkpoint}: the head reads {width} features, its CLIP gives {given}")
        self.batch = reward.batch

    def texts(self, prompts: list[str]) -> torch.Tensor:
        return torch.empty(len(prompts), 0)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return self.clip.prepare(image)

    @torch.no_grad()
    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return self.head(self.clip.pixels(pixels))[:, 0]
