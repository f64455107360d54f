"""PickScore (yuvalkirstain/PickScore): a transformers `CLIPModel` tuned on Pick-a-Pic.

Score: cosine; the published scale is logit_scale × cosine ≈ 100 × cosine ≈ 20–24, which tables print. Preprocessing: the
folder's own processor (CLIP's resize and centre crop); texts cut to the context.
"""

import numpy as np
import torch

from pnapo.artifacts.pretrained import from_folder
from pnapo.config.schema import Reward
from pnapo.rewards.base import NetworkScorer

TEXTS = 16  # prompts embedded at once


class PickScore(NetworkScorer):
    """Raw score: cosine."""

    def __init__(self, reward: Reward, device: str):
        from transformers import CLIPModel, CLIPProcessor

        self.model = from_folder(CLIPModel, reward.model, dtype=torch.float32)
        self.processor = from_folder(CLIPProcessor, reward.model)
        self.model.eval().requires_grad_(False).to(device)
        self.device, self.batch = device, reward.batch

    @torch.no_grad()
    def texts(self, prompts: list[str]) -> torch.Tensor:
        length, parts = self.model.config.text_config.max_position_embeddings, []
        for start in range(0, len(prompts), TEXTS):
            chunk = prompts[start : start + TEXTS]
            filled = chunk + [""] * (TEXTS - len(chunk))  # so that none hangs on its neighbours
            tokens = self.processor.tokenizer(
                filled, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            ).to(self.device)
            output = self.model.text_model(**tokens).pooler_output[: len(chunk)]
            parts.append(torch.nn.functional.normalize(self.model.text_projection(output), dim=-1).cpu())
        return torch.cat(parts)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        processed = self.processor.image_processor(image, return_tensors="pt", input_data_format="channels_last")
        return processed.pixel_values[0]

    @torch.no_grad()
    def compare(self, pixels: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        output = self.model.vision_model(pixel_values=pixels.to(self.device)).pooler_output
        pictures = torch.nn.functional.normalize(self.model.visual_projection(output), dim=-1).cpu()
        return (pictures * texts).sum(-1)
