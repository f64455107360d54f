"""Pictures of several sizes and prompts of every kind, with what the libraries themselves make of them."""

from types import SimpleNamespace

import numpy as np
import pytest

SIZES = [(32, 32), (48, 48), (40, 24), (24, 41), (16, 16), (64, 33), (32, 32)]
PROMPTS = ["a photo of a ring", "two stars", "a photo of a ring", "naïve 😀 <b>\n$x^2$", "", "cross " * 2000, "a cross"]


@pytest.fixture(scope="session")
def examples():
    """Smooth random pictures (uint8 [H, W, 3], most not square) and their prompts."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    pictures = [ndimage.gaussian_filter(rng.uniform(-400, 700, (*size, 3)), (3, 3, 0)) for size in SIZES]
    return SimpleNamespace(images=[p.clip(0, 255).astype(np.uint8) for p in pictures], prompts=PROMPTS)


@pytest.fixture(scope="session")
def plain_open_clip(rewards):
    """plain_open_clip(images) → unit image embeddings, by open_clip alone; the same with .texts(prompts)."""
    import open_clip
    import torch
    from PIL import Image

    name = rewards["clip"].model
    network, transform = open_clip.create_model_from_pretrained(name)
    tokenizer = open_clip.get_tokenizer(name)

    def unit(features):
        return features / features.norm(dim=-1, keepdim=True)

    def images(pictures):
        with torch.no_grad():
            return torch.cat([unit(network.encode_image(transform(Image.fromarray(p))[None])) for p in pictures])

    def texts(prompts):
        with torch.no_grad():
            return torch.cat([unit(network.encode_text(tokenizer([prompt]))) for prompt in prompts])

    return SimpleNamespace(images=images, texts=texts)
