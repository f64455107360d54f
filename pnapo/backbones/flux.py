"""FLUX.1-dev: packed 2×2 latents, T5 tokens, a pooled CLIP vector and an embedded (distilled) guidance value."""

from typing import Any

import numpy as np
import torch

from pnapo.backbones.base import ATTENTION, Backbone, Cond
from pnapo.backbones.sd3 import shift_of


def pack(latents: torch.Tensor) -> torch.Tensor:
    """[B, C, h, w] to tokens [B, h/2·w/2, 4C]: each token is a 2×2 patch."""
    b, c, h, w = latents.shape
    patches = latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(b, (h // 2) * (w // 2), 4 * c)


def unpack(tokens: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """The inverse of `pack`."""
    b, _, width = tokens.shape
    patches = tokens.view(b, h // 2, w // 2, width // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(b, width // 4, h, w)


def image_ids(h: int, w: int, device: torch.device) -> torch.Tensor:
    """Position ids [h/2·w/2, 3] of the image tokens: (0, row, column)."""
    ids = torch.zeros(h // 2, w // 2, 3, device=device)
    ids[..., 1] += torch.arange(h // 2, device=device)[:, None]
    ids[..., 2] += torch.arange(w // 2, device=device)[None, :]
    return ids.reshape(-1, 3)


class FluxBackbone(Backbone):
    """FLUX.1-dev (and the embedded world's tiny FLUX)."""

    family = "flux"
    transformer_class = "FluxTransformer2DModel"
    lora_mixin = "FluxLoraLoaderMixin"
    true_guidance = False
    text_components = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    lora_targets = ATTENTION

    def _encode_batch(self, prompts: list[str]) -> Cond:
        clip = self._tokens("tokenizer", prompts, self.parts["tokenizer"].model_max_length)
        t5 = self._tokens("tokenizer_2", prompts, self.max_sequence_length)
        return {
            "prompt_embeds": self.parts["text_encoder_2"](t5)[0],
            "pooled": self.parts["text_encoder"](clip).pooler_output,
        }

    def velocity(
        self,
        latents: torch.Tensor,
        t: torch.Tensor,
        cond: Cond,
        guidance: float = 1.0,
        transformer: torch.nn.Module | None = None,
    ) -> torch.Tensor:
        model = self.transformer if transformer is None else transformer
        dtype, (b, _, h, w) = self.dtype, latents.shape
        embeds = cond["prompt_embeds"].to(dtype)
        scale = torch.full((b,), guidance, device=latents.device) if model.config.guidance_embeds else None
        tokens = model(
            hidden_states=pack(latents.to(dtype)),
            timestep=t.to(dtype),
            guidance=scale,
            encoder_hidden_states=embeds,
            pooled_projections=cond["pooled"].to(dtype),
            txt_ids=torch.zeros(embeds.shape[1], 3, device=latents.device, dtype=dtype),
            img_ids=image_ids(h, w, latents.device).to(dtype),
            return_dict=False,
        )[0]
        return unpack(tokens, h, w).float()

    def sampling_grid(self, steps: int) -> dict[str, Any]:
        tokens = (self.latent_shape[1] // 2) * (self.latent_shape[2] // 2)
        return {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": shift_of(tokens, self.scheduler_config)}
