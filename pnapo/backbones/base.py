"""What every backbone can do: encode prompts, predict the velocity, decode latents, save and load adapters.

Latents are float32 [B, C, h, w] and already scaled, x0 = (z − shift)·scale; t = 1 is noise. The transformer runs in its
own precision, everything around it in float32.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from pnapo.artifacts import read_json, read_manifest, read_tensors, require_intact, write_tensors
from pnapo.backbones.digest import config_digest
from pnapo.errors import UserError

# The projections of joint attention, for image and text: where LoRA adapters go (both families name them alike).
ATTENTION = (
    "attn.add_k_proj",
    "attn.add_q_proj",
    "attn.add_v_proj",
    "attn.to_add_out",
    "attn.to_k",
    "attn.to_out.0",
    "attn.to_q",
    "attn.to_v",
)

Cond = dict[str, torch.Tensor]  # "prompt_embeds" [B, L, D] and "pooled" [B, P]


class Backbone(ABC):
    """A rectified-flow text-to-image model. Only the parts that were asked for are loaded.

    `parts` maps component names of the diffusers pipeline ("transformer", "vae", "text_encoder", "tokenizer", …) to
    loaded components.
    """

    family: ClassVar[str]
    text_components: ClassVar[tuple[str, ...]]
    lora_targets: ClassVar[tuple[str, ...]]
    transformer_class: ClassVar[str]

    def __init__(
        self, parts: Mapping[str, Any], *, path: str, resolution: int, max_sequence_length: int, device: str = "cpu"
    ):
        self.parts = dict(parts)
        self.path = path
        self.resolution = resolution
        self.max_sequence_length = max_sequence_length
        self.device = torch.device(device)
        self.negative: torch.nn.Module | None = None  # the transformer of the unconditional branch, if it is another
        for part in self.parts.values():
            if isinstance(part, torch.nn.Module):
                part.to(self.device).eval().requires_grad_(False)

    @classmethod
    def from_pipeline(cls, pipeline: Any, *, device: str = "cpu", max_sequence_length: int = 20) -> "Backbone":
        """A backbone of a pipeline's own components (the world's training uses it)."""
        parts = {name: part for name, part in pipeline.components.items() if part is not None}
        resolution = 8 * 4 if "vae" not in parts else parts["vae"].config.sample_size
        return cls(parts, path="", resolution=resolution, max_sequence_length=max_sequence_length, device=device)

    # Parts

    @property
    def transformer(self) -> torch.nn.Module:
        return self.parts["transformer"]

    @property
    def dtype(self) -> torch.dtype:
        return next(self.transformer.parameters()).dtype

    @property
    def vae_scale(self) -> int:
        """Pixels per latent cell along one side."""
        config = self.vae_config
        return 2 ** (len(config["block_out_channels"]) - 1)

    @property
    def vae_config(self) -> Mapping[str, Any]:
        if "vae" in self.parts:
            return self.parts["vae"].config
        return read_json(Path(self.path) / "vae" / "config.json")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of a latent at the model's resolution."""
        side = self.resolution // self.vae_scale
        return self.vae_config["latent_channels"], side, side

    @property
    def scheduler_config(self) -> Mapping[str, Any]:
        if "scheduler" in self.parts:
            return self.parts["scheduler"].config
        return read_json(Path(self.path) / "scheduler" / "scheduler_config.json")

    # Text

    @property
    def text_dtype(self) -> torch.dtype:
        """The precision of the text encoders."""
        return self.parts["text_encoder"].dtype

    @abstractmethod
    def _encode_batch(self, prompts: list[str]) -> Cond:
        """Embed one batch of prompts exactly as the diffusers pipeline does."""

    def encode_prompts(self, prompts: Sequence[str], batch: int = 32) -> Cond:
        """Embed prompts: "prompt_embeds" [N, L, D] and "pooled" [N, P], float32 on the backbone's device.

        Every batch has the same size (the last is filled up), so that an embedding does not depend on its neighbours.
        """
        rows: list[Cond] = []
        for start in range(0, len(prompts), batch):
            chunk = list(prompts[start : start + batch])
            with torch.no_grad():
                cond = self._encode_batch(chunk + [""] * (batch - len(chunk)))
            rows.append({name: value[: len(chunk)].float() for name, value in cond.items()})
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _tokens(self, tokenizer: str, prompts: list[str], length: int) -> torch.Tensor:
        encoded = self.parts[tokenizer](
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return encoded.input_ids.to(self.device)

    # Flow

    @abstractmethod
    def velocity(
        self,
        latents: torch.Tensor,
        t: torch.Tensor,
        cond: Cond,
        guidance: float = 1.0,
        transformer: torch.nn.Module | None = None,
    ) -> torch.Tensor:
        """The predicted velocity u = xT − x0, float32 [B, C, h, w], at latents [B, C, h, w] and t [B] in 0..1.

        `guidance` is the value a guidance-distilled model embeds (others ignore it); `transformer` stands in for the
        backbone's own.
        """

    @abstractmethod
    def sampling_grid(self, steps: int) -> dict[str, Any]:
        """The arguments of `FlowMatchEulerDiscreteScheduler.set_timesteps` that the pipeline would pass."""

    true_guidance: ClassVar[bool]  # whether guidance > 1 needs a second, unconditional forward pass

    # Images

    def decode(self, latents: torch.Tensor, batch: int | None = None) -> np.ndarray:
        """Images uint8 [N, H, W, 3] of latents [N, C, h, w].

        With `batch`, that many at once: the last batch is filled up, so that an image does not depend on its neighbours.
        """
        size, images = batch or len(latents), []
        for chunk in latents.split(size):
            filled = torch.cat([chunk, chunk[:1].expand(size - len(chunk), *chunk.shape[1:])])
            images.append(self._decode_batch(filled)[: len(chunk)])
        return np.concatenate(images)

    def _decode_batch(self, latents: torch.Tensor) -> np.ndarray:
        vae = self.parts["vae"]
        scaled = latents.to(self.device, vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor
        with torch.no_grad():
            pixels = vae.decode(scaled, return_dict=False)[0].float()
        pixels = (pixels * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return (pixels * 255).round().astype(np.uint8)

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Latents [B, C, h, w] of pixels [B, 3, H, W] in −1..1 (the mode of the posterior)."""
        vae = self.parts["vae"]
        with torch.no_grad():
            z = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist.mode().float()
        return (z - vae.config.shift_factor) * vae.config.scaling_factor

    # Policies

    def save_lora(self, folder: Path, state: Mapping[str, torch.Tensor]) -> None:
        """Write peft's LoRA weights as `pytorch_lora_weights.safetensors`, as diffusers pipelines load them."""
        import diffusers.loaders

        mixin = getattr(diffusers.loaders, self.lora_mixin)
        mixin.save_lora_weights(
            str(folder),
            transformer_lora_layers=dict(state),
            save_function=lambda tensors, path: write_tensors(path, tensors, {"format": "pt"}),
        )

    lora_mixin: ClassVar[str]

    def read_checkpoint(self, manifest: Path | str) -> dict[str, Any]:
        """The settings of a trained checkpoint.

        Raises UserError if it is another backbone's, was trained at another resolution, or if its files are damaged.
        """
        settings = read_manifest(manifest, "checkpoint")["settings"]
        if settings["transformer_config"] != config_digest(self.transformer):
            raise UserError(
                f"{manifest}: a checkpoint of another backbone ({settings['family']}); "
                f"it does not fit {self.family} at {self.path}"
            )
        if tuple(settings["latent_shape"]) != self.latent_shape:
            raise UserError(
                f"{manifest}: trained on latents of shape {settings['latent_shape']}, but {self.path} at resolution "
                f"{self.resolution} has {list(self.latent_shape)}; use the resolution that it was trained at"
            )
        require_intact(manifest, "checkpoint")
        return settings

    def load_policy(self, manifest: Path | str, *, negative: bool = False, step: int | None = None) -> None:
        """Put a trained checkpoint (LoRA or full) on the transformer, or on a copy for the negative branch of guidance.

        With `step`, its snapshot after so many steps. Raises UserError if it was trained on another backbone or at another
        resolution, if its files are damaged, if it has no such snapshot, or if the model has no such branch.
        """
        manifest = Path(manifest)
        if negative and not self.true_guidance:
            raise UserError(
                f"{manifest}: is for the negative branch of classifier-free guidance, but {self.family} embeds its guidance"
            )
        self.read_checkpoint(manifest)
        dtype, transformer = self.dtype, copy.deepcopy(self.transformer) if negative else self.transformer
        folder = weights_after(manifest, step)
        full = folder / "transformer" / "diffusion_pytorch_model.safetensors"
        if full.exists():
            transformer.load_state_dict(read_tensors(full))
        else:
            state = read_tensors(folder / "pytorch_lora_weights.safetensors")
            transformer.load_lora_adapter(state, prefix="transformer", adapter_name="policy")
            transformer.to(self.device, dtype).eval()
        if negative:
            self.negative = transformer


def weights_after(manifest: Path, step: int | None) -> Path:
    """The folder of a checkpoint's weights after so many steps, or after its last. Raises UserError if it keeps none."""
    folder = manifest.parent / f"snapshots/{step}" if step else manifest.parent
    if not folder.is_dir():
        raise UserError(f"{manifest}: keeps no weights after {step} steps; add it to the run's snapshots")
    return folder
