"""CLIP score: cosine of an open_clip model's image and text embeddings; tables print it × 100."""

import numpy as np
import torch

from pnapo.config.schema import Reward
from pnapo.rewards.base import NetworkScorer
from pnapo.rewards.openclip import OpenCLIP


class CLIPScore(NetworkScorer):
    """Raw score: cosine. Preprocessing: the model's own."""

    def __init__(self, reward: Reward, device: str):
        self.clip = OpenCLIP(reward.model, weights=reward.weights, device=device)
        self.batch = reward.batch

    def texts(self, prompts: list[str]) -> torch.Tensor:
        return self.clip.texts(prompts)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return self.clip.prepare(image)

    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return (self.clip.pixels(pixels) * texts).sum(-1)
