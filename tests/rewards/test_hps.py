"""HPS against hpsv2's own model and image transform, and against its `score`, with the vocabulary that its wheel lacks."""

import importlib
import importlib.util
import json
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import normalize

from pnapo.config.schema import Reward
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


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """hpsv2's `img_score`, from a copy of the installed package with the vocabulary and a tiny architecture, `tiny-hps`."""
    (installed,) = importlib.util.find_spec("hpsv2").submodule_search_locations
    shutil.copytree(installed, tmp_path / "hpsv2")
    folder = tmp_path / "hpsv2" / "src" / "open_clip"
    shutil.copy(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), folder)
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    vision = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
    config = folder / "model_configs" / "tiny-hps.json"
    config.write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(config)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "hpsv2"]:
        monkeypatch.delitem(sys.modules, name)
    module = importlib.import_module("hpsv2.img_score")
    monkeypatch.setattr(module, "device", "cpu")
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "hpsv2"]:
        del sys.modules[name]


@pytest.mark.parametrize("file", ["HPS_v2_compressed.pt", "HPS_v2.1_compressed.pt"])
def test_scores_are_those_of_hpsv2s_own_score(whole, examples, tmp_path, file):
    torch.manual_seed(5)
    network, _, transform = whole.create_model_and_transforms("tiny-hps", light_augmentation=True, output_dict=True)
    whole.model_dict.update(
        model=network, preprocess_val=transform
    )  # else it would fetch weights that its file replaces
    torch.save({"state_dict": network.state_dict()}, tmp_path / file)
    chosen = [
        i for i, image in enumerate(examples.images) if max(image.shape) != 32 or image.shape[0] == image.shape[1]
    ]
    expected = [
        whole.score(Image.fromarray(examples.images[i]), examples.prompts[i], cp=str(tmp_path / file))[0]
        for i in chosen
    ]
    scorer = load_reward(Reward(kind="hps", model="tiny-hps", checkpoint=str(tmp_path / file)))
    scores = scorer.score([examples.images[i] for i in chosen], [examples.prompts[i] for i in chosen])
    assert np.ptp(scores) > 0.05
    np.testing.assert_allclose(scores, expected, atol=1e-5)
