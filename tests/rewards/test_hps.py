"""HPS against hpsv2's own model and image transform."""

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import normalize

from pnapo.rewards import load_reward
from pnapo.rewards.hps import letterbox


@pytest.fixture(scope="module")
def official():
    """Modules of the installed hpsv2, past its package's own imports (they need files that its wheel lacks)."""
    root = importlib.util.find_spec("hpsv2").submodule_search_locations[0]
    package = types.ModuleType("hpsv2_open_clip")
    package.__path__ = [str(Path(root) / "src" / "open_clip")]
    sys.modules[package.__name__] = package
    return types.SimpleNamespace(
        **{name: importlib.import_module(f"{package.__name__}.{name}") for name in ("model", "transform")}
    )


def official_transform(official):
    return official.transform.image_transform(32, False, (0.5,) * 3, (0.5,) * 3, resize_longest_max=True)


@pytest.mark.parametrize("size", [(48, 48), (40, 24), (24, 41), (64, 33), (16, 16), (10, 31), (100, 37)])
def test_the_letterbox_is_hpsv2s_own(official, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = official_transform(official)(Image.fromarray(image))
    assert expected.shape == (3, 32, 32)
    assert torch.allclose(normalize(letterbox(image, 32), [0.5] * 3, [0.5] * 3), expected, atol=1e-6)


def test_a_picture_that_needs_no_scaling_is_centred_too():
    pixels = letterbox(np.full((20, 32, 3), 255, np.uint8), 32)
    assert pixels.shape == (3, 32, 32) and pixels[:, 6:26].min() == 1
    assert pixels[:, :6].max() == 0 and pixels[:, 26:].max() == 0
    square = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert torch.equal(letterbox(square, 32), torch.from_numpy(square).permute(2, 0, 1) / 255)


def test_scores_are_those_of_hpsv2s_own_model(official, rewards, examples):
    folder = Path(rewards["hps"].model.removeprefix("local-dir:"))
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"].pop("hf_tokenizer_name")
    model = official.model.CLIP(**config, output_dict=True).eval()
    model.load_state_dict(torch.load(rewards["hps"].checkpoint)["state_dict"])
    tokenizer, expected = open_clip.get_tokenizer(rewards["hps"].model), []
    for image, prompt in zip(examples.images, examples.prompts):
        if max(image.shape) == 32 and image.shape[0] != image.shape[1]:
            continue  # hpsv2 itself does not pad these
        with torch.no_grad():
            found = model(official_transform(official)(Image.fromarray(image))[None], tokenizer([prompt]))
        expected.append(float(found["image_features"] @ found["text_features"].T))
    scorer = load_reward(rewards["hps"])
    assert scorer.display_scale == 100
    scores = scorer.score(examples.images, examples.prompts)
    assert scores.dtype == np.float32 and np.ptp(scores) > 0.05
    np.testing.assert_allclose(scores, expected, atol=1e-5)
