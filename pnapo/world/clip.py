"""Train the world's CLIPs: a tiny open_clip model, and a tiny transformers `CLIPModel` for PickScore.

Both learn from pictures and captions of random scenes: image-text contrast, and contrast between two wordings of one
scene, so that paraphrases lie close together and scenes that differ in one word do not.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from scipy import ndimage
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from pnapo.world.captions import training_caption
from pnapo.world.render import arrange, draw
from pnapo.world.scenes import SHAPES, Scene, Thing
from pnapo.world.text import clip_tokenizer
from pnapo.world.vae import random_scenes

CONTEXT = 24
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
EMBED, VISION_WIDTH, VISION_LAYERS, TEXT_WIDTH, TEXT_LAYERS = 64, 96, 4, 64, 3

Encode = Callable[[torch.Tensor], torch.Tensor]


def write_open_clip_folder(folder: Path) -> None:
    """The configuration and tokenizer of the tiny open_clip model, as `local-dir:` loads them."""
    tokenizer = clip_tokenizer(CONTEXT)
    tokenizer.save_pretrained(folder)
    config = {
        "model_cfg": {
            "embed_dim": EMBED,
            "vision_cfg": {
                "image_size": 32,
                "patch_size": 8,
                "width": VISION_WIDTH,
                "layers": VISION_LAYERS,
                "head_width": 32,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": len(tokenizer),
                "width": TEXT_WIDTH,
                "heads": 4,
                "layers": TEXT_LAYERS,
                "hf_tokenizer_name": "clip",
            },
        },
        "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")


def new_open_clip(folder: Path, seed: int) -> torch.nn.Module:
    """An untrained open_clip model of the folder's configuration."""
    torch.manual_seed(seed)
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"].pop("hf_tokenizer_name")  # the tokenizer's folder, not part of the architecture
    return open_clip.CLIP(**config)


def new_transformers_clip(seed: int) -> tuple[CLIPModel, CLIPProcessor]:
    """An untrained `CLIPModel` of the same size, and its processor."""
    torch.manual_seed(seed)
    tokenizer = clip_tokenizer(CONTEXT)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": VISION_WIDTH,
        "intermediate_size": 4 * VISION_WIDTH,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": 3,
        "image_size": 32,
        "patch_size": 8,
    }
    side = {"height": 32, "width": 32}
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=side, image_mean=MEAN, image_std=STD)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBED))
    return model, CLIPProcessor(images, tokenizer)


def tokenize(tokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids [N, 24]."""
    return tokenizer(texts, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt").input_ids


def normalise(images: np.ndarray) -> torch.Tensor:
    """uint8 [N, 32, 32, 3] to the models' float input [N, 3, 32, 32]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def encoders(model: torch.nn.Module) -> tuple[Encode, Encode]:
    """Functions from pixels and from token ids to unit embeddings, for either kind of model."""
    if isinstance(model, CLIPModel):
        pad = model.config.text_config.eos_token_id

        def image(pixels: torch.Tensor) -> torch.Tensor:
            features = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
            return F.normalize(features, dim=-1)

        def text(tokens: torch.Tensor) -> torch.Tensor:
            keep = (tokens != pad).long()
            keep[torch.arange(len(tokens)), (tokens == pad).int().argmax(1)] = 1  # the first end token is text
            output = model.text_model(input_ids=tokens, attention_mask=keep)
            return F.normalize(model.text_projection(output.pooler_output), dim=-1)

        return image, text
    return (lambda pixels: model.encode_image(pixels, normalize=True)), (
        lambda tokens: model.encode_text(tokens, normalize=True)
    )


def damage(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur, noise or dim half of the pictures a little, so that the encoders also read imperfect ones."""
    if rng.random() < 0.5:
        return image
    value = image.astype(np.float32)
    if rng.random() < 0.5:
        value = ndimage.gaussian_filter(value, (rng.uniform(0.2, 0.9),) * 2 + (0,))
    value += rng.normal(0, rng.uniform(0, 14), value.shape)
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


def _symmetric(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Cross-entropy both ways; rows of the same meaning share the target."""
    target = positive / positive.sum(1, keepdim=True)
    return (-(target * logits.log_softmax(1)).sum(1).mean() - (target.T * logits.T.log_softmax(1)).sum(1).mean()) / 2


def confusable(scene: Scene, rng: np.random.Generator) -> Scene:
    """A scene that differs in what a bag of words cannot tell: colours or places exchanged, or one thing changed."""
    things = scene.things
    if scene.relation:
        return Scene(scene.family, things[::-1], scene.relation, scene.background)
    if scene.family == "color_attr":
        (a, b) = things
        return Scene(scene.family, (Thing(a.shape, b.color), Thing(b.shape, a.color)), None, scene.background)
    if scene.family == "counting":
        count = len(things) + (1 if len(things) == 2 else -1 if len(things) == 4 else int(rng.choice([-1, 1])))
        return Scene(scene.family, things[:1] * count, None, scene.background)
    others = [shape for shape in SHAPES if shape not in {thing.shape for thing in things}]
    changed = Thing(str(rng.choice(others)), things[-1].color)
    return Scene(scene.family, (*things[:-1], changed), None, scene.background)


def _batch(count: int, hard: bool, rng: np.random.Generator) -> tuple[list[Scene], np.ndarray]:
    """Scenes and pictures uint8 [count, 32, 32, 3]; with `hard` the second half is confusable with the first."""
    scenes = random_scenes(rng, count // 2 if hard else count)
    if hard:
        scenes += [confusable(scene, rng) for scene in scenes]
    named, images = [], []
    for index, scene in enumerate(scenes):
        ground = named[index - count // 2].background if hard and index >= count // 2 else None
        asked = Scene(scene.family, scene.things, scene.relation, ground)
        picture = arrange(asked, rng)
        images.append(damage(draw(picture), rng))
        if ground is None and not (hard and index >= count // 2):
            ground = picture.background if rng.random() < 0.6 else None
        named.append(Scene(scene.family, scene.things, scene.relation, ground))
    return named, np.stack(images)


def train_contrastive(
    model: torch.nn.Module, *, steps: int, hard_steps: int, batch: int, learning_rate: float, seed: int, log
) -> None:
    """Train either kind of model in place: image-text and text-text contrast.

    First on random scenes, then with pairs that only order and binding tell apart in every batch: without them the model
    stays a bag of words.
    """
    _contrast(model, steps, False, batch, learning_rate, seed, log)
    _contrast(model, hard_steps, True, batch, learning_rate, seed + 1000, log)
    model.eval()


def _contrast(model: torch.nn.Module, steps: int, hard: bool, batch: int, peak: float, seed: int, log) -> None:
    rng = np.random.default_rng(seed)
    tokenizer = clip_tokenizer(CONTEXT)
    encode_image, encode_text = encoders(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    text_scale, start, warmup = 20.0, time.monotonic(), max(1, steps // 30)
    model.train()
    for step in range(1, steps + 1):
        factor = min(step / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = peak * factor
        scenes, images = _batch(batch, hard, rng)
        first = [training_caption(scene, rng) for scene in scenes]
        second = [training_caption(scene, rng) for scene in scenes]
        meanings = [scene.meaning for scene in scenes]
        same = torch.tensor([[float(a == b) for b in meanings] for a in meanings])
        visual = encode_image(normalise(images))
        textual = encode_text(tokenize(tokenizer, first + second))
        one, two = textual.chunk(2)
        scale = model.logit_scale.exp().clamp(max=100)
        loss = _symmetric(scale * visual @ one.T, same) + _symmetric(text_scale * one @ two.T, same)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % max(1, steps // 40) == 0 or step == steps:
            right = same[torch.arange(batch), (visual @ one.T).argmax(1)].mean().item()
            again = same[torch.arange(batch), (one @ two.T).argmax(1)].mean().item()
            rate = step / (time.monotonic() - start)
            log(
                f"clip{' (hard)' if hard else ''} step {step}/{steps} loss {loss.item():.3f}, found: picture's caption "
                f"{right:.2f}, paraphrase {again:.2f}, {rate:.1f}/s"
            )
