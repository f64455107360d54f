"""HPSv2 and HPSv2.1 (tgxs002/HPSv2): an open_clip ViT-H-14 tuned on human choices.

Score: cosine of image and text embedding, about 0.2–0.4; tables print it × 100. Preprocessing: to tensor, longest side to
the model's size (bicubic, antialiased), zero padding around, CLIP's mean and standard deviation; texts cut to the context.
The official checkpoint is a torch file {"state_dict": …}.
"""

import numpy as np
import torch
from torchvision.transforms import functional as F

from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.rewards.base import NetworkScorer
from pnapo.rewards.openclip import OpenCLIP


def letterbox(image: np.ndarray, size: int) -> torch.Tensor:
    """A uint8 image [H, W, 3] as float [3, size, size] in 0..1: longest side scaled to `size`, the rest black."""
    pixels = F.to_tensor(image)
    height, width = pixels.shape[1:]
    scale = size / max(height, width)
    if scale != 1.0:
        height, width = round(height * scale), round(width * scale)
        pixels = F.resize(pixels, [height, width], F.InterpolationMode.BICUBIC, antialias=True)
    down, right = size - height, size - width
    return F.pad(pixels, [right // 2, down // 2, right - right // 2, down - down // 2])


class HPS(NetworkScorer):
    """Raw score: cosine."""

    def __init__(self, reward: Reward, device: str):
        if not reward.checkpoint:
            raise UserError("rewards: kind hps needs `checkpoint`, the HPSv2 weights file")
        self.clip = OpenCLIP(reward.model, state=reward.checkpoint, device=device)
        self.batch = reward.batch
        config = self.clip.network.visual.preprocess_cfg
        self.mean, self.std = list(config["mean"]), list(config["std"])

    def texts(self, prompts: list[str]) -> torch.Tensor:
        return self.clip.texts(prompts)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return F.normalize(letterbox(image, self.clip.image_size), self.mean, self.std)

    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return (self.clip.pixels(pixels) * texts).sum(-1)
