"""CLIP score: cosine of an open_clip model's image and text embeddings; tables print it × 100."""

import numpy as np

from pnapo.config.schema import Reward
from pnapo.rewards.openclip import OpenCLIP


class CLIPScore:
    """Raw score: cosine. Preprocessing: the model's own."""

    display_scale = 100.0

    def __init__(self, reward: Reward, device: str):
        self.clip = OpenCLIP(reward.model, weights=reward.weights, device=device)
        self.batch = reward.batch

    def score(self, images: list[np.ndarray], prompts: list[str]) -> np.ndarray:
        """Cosines, float32 [N]."""
        return (self.clip.images(images, self.batch) * self.clip.rows(prompts)).sum(-1).numpy()
