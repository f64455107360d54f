"""Our sampler equals the official diffusers pipelines, and a sample depends on nothing but its own noise and prompt."""

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline

from pnapo.backbones import load_backbone
from pnapo.backbones.flux import pack, unpack
from pnapo.pairs.sampler import sample

PIPELINES = {"sd3": StableDiffusion3Pipeline, "flux": FluxPipeline}
PROMPTS = ["a photo of a red ring", "two stars, flat colors", "<b>naïve 😀</b>\nnew line"]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_images_equal_the_pipelines_own(models, family, guidance):
    backbone = load_backbone(models[family], {"transformer", "text", "vae"})
    noise = torch.randn(3, *backbone.latent_shape, generator=torch.Generator().manual_seed(0))
    null = backbone.encode_prompts([""])
    latents = sample(backbone, noise, backbone.encode_prompts(PROMPTS), steps=3, guidance=guidance, batch=3, null=null)
    pipeline = PIPELINES[family].from_pretrained(models[family].path, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(
        prompt=PROMPTS,
        num_inference_steps=3,
        guidance_scale=guidance,
        latents=pack(noise) if family == "flux" else noise,
        height=32,
        width=32,
        max_sequence_length=20,
        output_type="np",
    ).images
    assert np.array_equal(backbone.decode(latents), (official * 255).round().astype(np.uint8))
    assert np.ptp(backbone.decode(latents)) > 0


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_sample_does_not_depend_on_its_neighbours(models, family):
    backbone = load_backbone(models[family], {"transformer", "text"})
    prompts = [f"a photo of {i} rings" for i in range(11)]
    cond = backbone.encode_prompts(prompts)
    noise = torch.randn(11, *backbone.latent_shape, generator=torch.Generator().manual_seed(1))
    whole = sample(backbone, noise, cond, steps=2, batch=4)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    shuffled = sample(backbone, noise[order], backbone.encode_prompts([prompts[i] for i in order]), steps=2, batch=4)
    assert torch.equal(whole[order], shuffled)
    alone = sample(backbone, noise[7:8], backbone.encode_prompts(prompts[7:8]), steps=2, batch=4)
    assert torch.equal(whole[7:8], alone)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_an_image_does_not_depend_on_its_neighbours(models, family):
    backbone = load_backbone(models[family], {"vae"})
    latents = torch.randn(11, *backbone.latent_shape, generator=torch.Generator().manual_seed(3))
    whole = backbone.decode(latents, 4)
    assert whole.shape == (11, 32, 32, 3)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(4))
    assert np.array_equal(backbone.decode(latents[order], 4), whole[order])
    assert np.array_equal(backbone.decode(latents[7:8], 4), whole[7:8])
    assert np.abs(backbone.decode(latents).astype(int) - whole).max() <= 1


def test_packing_is_undone_by_unpacking():
    latents = torch.randn(2, 5, 6, 4)
    tokens = pack(latents)
    assert tokens.shape == (2, 6, 20)
    assert torch.equal(unpack(tokens, 6, 4), latents)
    assert torch.equal(tokens[0, 0], latents[0, :, :2, :2].reshape(-1))
