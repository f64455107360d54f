"""ImageReward against transformers' BLIP with the same weights, and against the official package where that is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from transformers import BertTokenizer, BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from pnapo.errors import UserError
from pnapo.plan import encoders, known
from pnapo.rewards import load_reward
from pnapo.rewards.blip import ImageEncoder
from pnapo.rewards.imagereward import TOKENS, Network

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / ".cache" / "parity"  # what `make test-parity` installs
PARTS = {  # names of the official file, and of transformers
    **{"cls_token": "embeddings.class_embedding", "pos_embed": "embeddings.position_embedding"},
    **{"patch_embed.proj.": "embeddings.patch_embedding.", "blocks.": "encoder.layers."},
    **{".attn.qkv.": ".self_attn.qkv.", ".attn.proj.": ".self_attn.projection."},
    **{".norm1.": ".layer_norm1.", ".norm2.": ".layer_norm2.", "norm.": "post_layernorm."},
}


def renamed(name: str) -> str:
    for ours, theirs in PARTS.items():
        if (ours.startswith(".") and ours in name) or name.startswith(ours):
            name = name.replace(ours, theirs, 1)
    return name


def blip(folder: Path):
    """transformers' two encoders with the official file's weights, and what is left of the file."""
    state, sizes = torch.load(folder / "ImageReward.pt"), json.loads((folder / "med_config.json").read_text())
    sizes = {
        name: sizes[name] for name in sizes if name.startswith(("hidden_", "num_", "intermediate", "vocab", "max_"))
    }
    vision = BlipVisionModel(
        BlipVisionConfig(
            hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16,
            layer_norm_eps=1e-6,
        )
    )  # fmt: skip
    text = BlipTextModel(
        BlipTextConfig(**sizes, encoder_hidden_size=128, layer_norm_eps=1e-12, is_decoder=True), add_pooling_layer=False
    )
    for module, prefix, name in ((vision, "blip.visual_encoder.", renamed), (text, "blip.text_encoder.", str)):
        part = {name(key.removeprefix(prefix)): state.pop(key) for key in list(state) if key.startswith(prefix)}
        part.pop("embeddings.position_ids", None)
        module.load_state_dict(part)
        module.eval()
    return vision, text, state


def test_the_score_is_blips_first_token_through_the_head(rewards, examples):
    vision, text, rest = blip(Path(rewards["imagereward"].model))
    tokenizer = BertTokenizer.from_pretrained(rewards["imagereward"].tokenizer)
    prepare = transforms.Compose(
        [transforms.Resize(32, Image.BICUBIC), transforms.CenterCrop(32), transforms.ToTensor()]
    )
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    expected = []
    for image, prompt in zip(examples.images, examples.prompts):
        pixels = (prepare(Image.fromarray(image)) - mean[:, None, None]) / std[:, None, None]
        tokens = tokenizer(prompt, padding="max_length", truncation=True, max_length=35, return_tensors="pt")
        with torch.no_grad():
            x = text(
                tokens.input_ids,
                attention_mask=tokens.attention_mask,
                encoder_hidden_states=vision(pixels[None]).last_hidden_state,
            ).last_hidden_state[:, 0]
            for k in (0, 2, 4, 6, 7):
                x = x @ rest[f"mlp.layers.{k}.weight"].T + rest[f"mlp.layers.{k}.bias"]
        expected.append((float(x) - 0.16717362830052426) / 1.0333394966054072)
    scorer = load_reward(rewards["imagereward"])
    scores = scorer.score(examples.images, examples.prompts)
    assert scorer.display_scale == 1 and scores.dtype == np.float32 and np.ptp(scores) > 0.05
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_prompt_and_image_both_count(rewards, examples):
    scorer, prompts = load_reward(rewards["imagereward"]), ["two stars", "a ring", "a ring" + " a" * 40 + " two"]
    same = scorer.score([examples.images[0]] * 3, prompts)
    assert len({*same.round(6)}) == 3
    cut = scorer.score([examples.images[0]] * 2, [prompts[2], prompts[2] + " stars"])  # the end is past 35 tokens
    assert cut[0] == cut[1]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("med_config.json", {"hidden_act": "relu"}, "med_config.json: hidden_act is 'relu'"),
        ("med_config.json", {"num_hidden_layers": 3}, "ImageReward.pt: does not fit this model"),
        ("med_config.json", {"vocab_size": 20}, "ImageReward.pt: does not fit this model"),
    ],
)
def test_another_models_sizes_are_refused(rewards, tmp_path, file, change, message):
    folder = tmp_path / "folder"
    shutil.copytree(rewards["imagereward"].model, folder)
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_reward(rewards["imagereward"].model_copy(update={"model": str(folder)}))


def test_a_larger_vocabulary_than_the_weights_is_refused(rewards, tmp_path):
    shutil.copytree(rewards["imagereward"].tokenizer, tmp_path / "bert")
    with open(tmp_path / "bert" / "vocab.txt", "a") as handle:
        handle.write("one\nmore\n")
    with pytest.raises(UserError, match=r"bert: has \d+ tokens, .* knows"):
        load_reward(rewards["imagereward"].model_copy(update={"tokenizer": str(tmp_path / "bert")}))


def test_the_plan_counts_its_parameters():
    sizes = {**known.BERT, "layer_norm_eps": 1e-12}
    with torch.device("meta"):
        network = Network(ImageEncoder(width=1024, hidden=4096, layers=24, patch=16, tokens=197), sizes)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert encoders.blip(known.VIT_L_16, known.BERT, known.BLIP_TOKENS).parameters == found
    assert known.BLIP_TOKENS == TOKENS


@pytest.mark.skipif(not (LAYER / "ImageReward").is_dir(), reason="the official package is not here: make test-parity")
def test_scores_are_those_of_the_official_package(rewards, examples, tmp_path):
    reward = rewards["imagereward"]
    for number, (image, prompt) in enumerate(zip(examples.images, examples.prompts)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(prompt, "utf-8")
    shutil.copytree(reward.tokenizer, tmp_path / "bert-base-uncased")  # the package asks for it by this name
    command = [sys.executable, ROOT / "envs" / "parity" / "imagereward.py", reward.model, tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(LAYER)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout.splitlines()[-1])
    assert expected["transformers"].startswith("4.") and len(expected["scores"]) == len(examples.images)
    scores = load_reward(reward).score(examples.images, examples.prompts)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
