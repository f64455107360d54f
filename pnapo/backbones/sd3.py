"""Stable Diffusion 3: joint attention over image and text, two CLIPs and a T5, classifier-free guidance."""

from typing import Any

import torch
from torch.nn import functional as F

from pnapo.backbones.base import ATTENTION, Backbone, Cond


class SD3Backbone(Backbone):
    """SD3-M and SD3.5-M (and the embedded world's tiny SD3)."""

    family = "sd3"
    transformer_class = "SD3Transformer2DModel"
    lora_mixin = "SD3LoraLoaderMixin"
    true_guidance = True
    text_components = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
    lora_targets = ATTENTION

    def _encode_batch(self, prompts: list[str]) -> Cond:
        length = self.parts["tokenizer"].model_max_length
        hidden, pooled = [], []
        for suffix in ("", "_2"):
            tokens = self._tokens(f"tokenizer{suffix}", prompts, length)
            output = self.parts[f"text_encoder{suffix}"](tokens, output_hidden_states=True)
            hidden.append(output.hidden_states[-2])
            pooled.append(output[0])
        tokens = self._tokens("tokenizer_3", prompts, self.max_sequence_length)
        t5 = self.parts["text_encoder_3"](tokens)[0]
        clip = torch.cat(hidden, -1)
        clip = F.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
        return {"prompt_embeds": torch.cat([clip, t5.to(clip.dtype)], 1), "pooled": torch.cat(pooled, -1)}

    def velocity(
        self,
        latents: torch.Tensor,
        t: torch.Tensor,
        cond: Cond,
        guidance: float = 1.0,
        transformer: torch.nn.Module | None = None,
    ) -> torch.Tensor:
        model = self.transformer if transformer is None else transformer
        dtype = self.dtype
        return model(
            hidden_states=latents.to(dtype),
            timestep=t * 1000,
            encoder_hidden_states=cond["prompt_embeds"].to(dtype),
            pooled_projections=cond["pooled"].to(dtype),
            return_dict=False,
        )[0].float()

    def sampling_grid(self, steps: int) -> dict[str, Any]:
        if self.scheduler_config.get("use_dynamic_shifting"):  # SD3.5-M
            tokens = (self.latent_shape[1] // 2) * (self.latent_shape[2] // 2)
            return {"num_inference_steps": steps, "mu": shift_of(tokens, self.scheduler_config)}
        return {"num_inference_steps": steps}


def shift_of(tokens: int, scheduler: Any) -> float:
    """The exponent of the time shift for a number of image tokens (dynamic shifting, linear between two sizes)."""
    low, high = scheduler.get("base_image_seq_len", 256), scheduler.get("max_image_seq_len", 4096)
    base, top = scheduler.get("base_shift", 0.5), scheduler.get("max_shift", 1.16)
    slope = (top - base) / (high - low)
    return tokens * slope + (base - slope * low)
