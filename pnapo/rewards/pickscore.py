"""PickScore (yuvalkirstain/PickScore): a transformers `CLIPModel` tuned on Pick-a-Pic.

Score: cosine; the published scale is logit_scale × cosine ≈ 100 × cosine ≈ 20–24, which tables print. Preprocessing: the
folder's own processor (CLIP's resize and centre crop); texts cut to the context.
"""

import numpy as np
import torch

from pnapo.artifacts.pretrained import from_folder
from pnapo.config.schema import Reward


class PickScore:
    """Raw score: cosine."""

    display_scale = 100.0

    def __init__(self, reward: Reward, device: str):
        from transformers import CLIPModel, CLIPProcessor

        self.model = from_folder(CLIPModel, reward.model, dtype=torch.float32)
        self.processor = from_folder(CLIPProcessor, reward.model)
        self.model.eval().requires_grad_(False).to(device)
        self.device, self.batch = device, reward.batch

    @torch.no_grad()
    def _texts(self, prompts: list[str]) -> torch.Tensor:
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.processor.tokenizer(
            prompts, padding=True, truncation=True, max_length=length, return_tensors="pt"
        ).to(self.device)
        output = self.model.text_model(**tokens).pooler_output
        return torch.nn.functional.normalize(self.model.text_projection(output), dim=-1).cpu()

    @torch.no_grad()
    def _images(self, images: list[np.ndarray]) -> torch.Tensor:
        pixels = self.processor.image_processor(images, return_tensors="pt", input_data_format="channels_last")
        output = self.model.vision_model(pixel_values=pixels.pixel_values.to(self.device)).pooler_output
        return torch.nn.functional.normalize(self.model.visual_projection(output), dim=-1).cpu()

    def score(self, images: list[np.ndarray], prompts: list[str]) -> np.ndarray:
        """Cosines, float32 [N]."""
        distinct = list(dict.fromkeys(prompts))
        where = {prompt: row for row, prompt in enumerate(distinct)}
        texts = torch.cat([self._texts(distinct[i : i + 256]) for i in range(0, len(distinct), 256)])
        pictures = torch.cat([self._images(images[i : i + self.batch]) for i in range(0, len(images), self.batch)])
        return (pictures * texts[[where[prompt] for prompt in prompts]]).sum(-1).numpy()
