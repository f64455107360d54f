"""Train the base models of the embedded world: a tiny `StableDiffusion3Pipeline` and a tiny `FluxPipeline`."""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)

from pnapo.backbones import Backbone, FluxBackbone, SD3Backbone
from pnapo.world.captions import training_caption
from pnapo.world.render import arrange, draw
from pnapo.world.scenes import FAMILIES, Scene, all_scenes
from pnapo.world.text import clip_text_encoder, clip_tokenizer, t5_encoder, t5_tokenizer
from pnapo.world.vae import to_tensor

HEADS, HEAD_WIDTH = 4, 32
T5_WIDTH = 64

# Harder families are shown more often.
SHARES = {
    "single_object": 0.06,
    "two_object": 0.12,
    "counting": 0.14,
    "colors": 0.1,
    "position": 0.24,
    "color_attr": 0.34,
}


def new_sd3(vae: AutoencoderKL, seed: int) -> StableDiffusion3Pipeline:
    """An untrained tiny SD3: 4 joint blocks of width 128 over 16 image and 34 text tokens."""
    torch.manual_seed(seed)
    channels = vae.config.latent_channels
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=channels,
        out_channels=channels,
        num_layers=4,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=HEADS * HEAD_WIDTH,
        pooled_projection_dim=64,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=clip_text_encoder(clip, 32, True, seed + 1),
        tokenizer=clip,
        text_encoder_2=clip_text_encoder(clip, 32, True, seed + 2),
        tokenizer_2=clip,
        text_encoder_3=t5_encoder(t5, T5_WIDTH, seed + 3),
        tokenizer_3=t5,
    )


def new_flux(vae: AutoencoderKL, seed: int) -> FluxPipeline:
    """An untrained tiny FLUX: 2 double and 3 single blocks of width 128 over 16 image and 20 text tokens."""
    torch.manual_seed(seed)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * vae.config.latent_channels,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=64,
        guidance_embeds=True,
        axes_dims_rope=(8, 12, 12),
    )
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )
    return FluxPipeline(
        transformer=transformer,
        scheduler=scheduler,
        vae=vae,
        text_encoder=clip_text_encoder(clip, 64, False, seed + 1),
        tokenizer=clip,
        # FLUX reads the words from T5 alone (SD3 has its CLIPs), so its T5 mixes them less.
        text_encoder_2=t5_encoder(t5, T5_WIDTH, seed + 3, mixing=0.4),
        tokenizer_2=t5,
    )


def draw_pool(backbone: Backbone, count: int, rng: np.random.Generator) -> tuple[list[Scene], torch.Tensor]:
    """`count` scenes with random backgrounds, and the latents [count, C, h, w] of a picture of each.

    Half of the scenes name their background, so that captions with and without one are learned.
    """
    by_family = {f: [s for s in all_scenes() if s.family == f] for f in FAMILIES}
    families = rng.choice(FAMILIES, count, p=[SHARES[f] for f in FAMILIES])
    scenes, images = [], []
    for family in families:
        scene = by_family[family][rng.integers(len(by_family[family]))]
        picture = arrange(scene, rng)
        images.append(draw(picture))
        named = picture.background if rng.random() < 0.5 else None
        scenes.append(Scene(scene.family, scene.things, scene.relation, named))
    latents = torch.cat([backbone.encode_images(batch) for batch in to_tensor(np.stack(images)).split(64)])
    return scenes, latents


def train_base(
    kind: str,
    vae_folder: Path,
    out: Path,
    *,
    phases: Sequence[Mapping[str, float]],
    batch: int,
    learning_rate: float,
    pool: int,
    ema: float,
    dropout: float,
    seed: int,
    device: str,
    log,
) -> None:
    """Train the transformer by flow matching and save the whole pipeline in fp16.

    `kind` is "sd3" or "flux". Each phase has `steps`, a cosine of its own, and a `shift` of its logit-normal times towards
    noise (1: none), where a picture's content is decided. A phase starts from the moving average of the weights that the one
    before it saved.
    """
    vae = AutoencoderKL.from_pretrained(vae_folder)
    pipeline = {"sd3": new_sd3, "flux": new_flux}[kind](vae, seed)
    pipeline.to(torch.float16).to(
        torch.float32
    )  # the frozen parts are shipped in fp16: train against what will be used
    for number, phase in enumerate(phases):
        backbone = {"sd3": SD3Backbone, "flux": FluxBackbone}[kind].from_pipeline(pipeline, device=device)
        settings = {"batch": batch, "learning_rate": learning_rate, "pool": pool, "ema": ema, "dropout": dropout}
        average = _phase(backbone, **phase, **settings, seed=seed + number, log=lambda line: log(f"{kind} {line}"))
        pipeline.transformer = average
        pipeline.to(torch.float16).save_pretrained(out)
        pipeline.to(torch.float32)


def _phase(
    backbone: Backbone,
    *,
    steps: int,
    shift: float,
    batch: int,
    learning_rate: float,
    pool: int,
    ema: float,
    dropout: float,
    seed: int,
    log,
) -> torch.nn.Module:
    """Train the backbone's transformer in place; returns the moving average of its weights."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    scenes, latents = draw_pool(backbone, pool, rng)
    model = backbone.transformer.train().requires_grad_(True)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    warmup, start, running = max(1, steps // 40), time.monotonic(), 0.0
    for step in range(1, steps + 1):
        factor = min(step / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        chosen = rng.integers(pool, size=batch)
        captions = ["" if rng.random() < dropout else training_caption(scenes[i], rng) for i in chosen]
        cond = backbone.encode_prompts(captions)
        clean = latents[chosen]
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        t = torch.sigmoid(torch.randn(batch, generator=generator)).to(clean)
        t = shift * t / (1 + (shift - 1) * t)
        mixed = torch.lerp(clean, noise, t[:, None, None, None])
        # FLUX embeds its guidance: this one knows the value 1 only, since nothing is distilled here.
        velocity = backbone.velocity(mixed, t, cond, guidance=1.0)
        loss = (velocity - (noise - clean)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        running = loss.item() if step == 1 else 0.99 * running + 0.01 * loss.item()
        if step % max(1, steps // 50) == 0 or step == steps:
            seconds = time.monotonic() - start
            log(f"step {step}/{steps} loss {running:.4f}, {step * batch / seconds:.0f} samples/s")
    return average
