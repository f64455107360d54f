"""Train the world's autoencoder: an `AutoencoderKL` with 4× downsampling, shared by the tiny SD3 and FLUX."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from pnapo.world.render import render
from pnapo.world.scenes import FAMILIES, all_scenes

LATENT_CHANNELS = 12


def new_vae() -> AutoencoderKL:
    """An untrained tiny autoencoder: uint8 32×32 pictures to latents [12, 8, 8]."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=32,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


@cache
def _family(name: str) -> list:
    return [scene for scene in all_scenes() if scene.family == name]


def random_scenes(rng: np.random.Generator, count: int) -> list:
    """Scenes drawn with equal shares of the six families."""
    families = rng.integers(len(FAMILIES), size=count)
    pools = [_family(FAMILIES[f]) for f in families]
    return [pool[rng.integers(len(pool))] for pool in pools]


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """uint8 [N, H, W, 3] to float32 [N, 3, H, W] in −1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(pixels: torch.Tensor) -> np.ndarray:
    """float [N, 3, H, W] in −1..1 to uint8 [N, H, W, 3]."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def train_vae(out: Path, *, steps: int, batch: int, learning_rate: float, kl_weight: float, seed: int, log) -> None:
    """Train and save the autoencoder, its scaling and shift factors set to whiten the latents of renders.

    Pictures carry a little pixel noise and blending while training, so that the decoder is sharp on latents
    that a generator makes.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = new_vae().train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=learning_rate, weight_decay=1e-4, betas=(0.9, 0.99))
    warmup = max(1, steps // 50)
    for step in range(1, steps + 1):
        factor = min(step / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        pixels = to_tensor(np.stack([render(s, rng) for s in random_scenes(rng, batch)]))
        posterior = vae.encode(pixels).latent_dist
        reconstruction = vae.decode(posterior.sample()).sample
        error = reconstruction - pixels
        loss = error.abs().mean() + error.square().mean() + kl_weight * posterior.kl().mean() / pixels[0].numel()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == steps:
            psnr = -10 * math.log10(float((error.detach() / 2).square().mean()))
            log(f"vae step {step}/{steps} loss {float(loss.detach()):.4f} psnr {psnr:.1f} dB")
    vae.eval()
    with torch.no_grad():
        pixels = to_tensor(np.stack([render(s, rng) for s in random_scenes(rng, 512)]))
        latents = torch.cat([vae.encode(p).latent_dist.mode() for p in pixels.split(64)])
    vae.register_to_config(scaling_factor=1 / float(latents.std()), shift_factor=float(latents.mean()))
    vae.save_pretrained(out)


def reconstruct(vae: AutoencoderKL, images: np.ndarray) -> np.ndarray:
    """uint8 pictures through the autoencoder and back."""
    with torch.no_grad():
        parts = [vae.decode(vae.encode(p).latent_dist.mode()).sample for p in to_tensor(images).split(64)]
    return to_images(F.hardtanh(torch.cat(parts)))
