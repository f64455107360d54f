"""Prompt embeddings are stored once and looked up by prompt."""

import pytest
import torch

from pnapo.artifacts import prompt_id
from pnapo.backbones import load_backbone
from pnapo.errors import UserError
from pnapo.pairs.embeddings import read_embeddings, write_embeddings


def test_rows_are_looked_up_by_prompt(world, models):
    backbone = load_backbone(models["sd3"], {"text"})
    texts = [world.prompts["prompt"][row] for row in (3, 0, 3)]
    rows = world.embeddings.rows([prompt_id(text) for text in texts])
    for name, value in backbone.encode_prompts(texts).items():
        assert torch.equal(rows[name], value)
        assert torch.equal(world.embeddings.null()[name], backbone.encode_prompts([""])[name])
    assert not torch.equal(rows["prompt_embeds"][0], rows["prompt_embeds"][1])


def test_an_unknown_prompt_is_named(world):
    with pytest.raises(UserError, match=r"manifest\.json: no embedding of prompt 0123456789abcdef"):
        world.embeddings.rows(["0123456789abcdef"])


def test_the_files_are_the_same_every_time_and_damage_is_named(world, models, tmp_path):
    write_embeddings(load_backbone(models["sd3"], {"text"}), world.table, tmp_path / "manifest.json")
    for name in ("manifest.json", "embeddings.safetensors"):
        assert (tmp_path / name).read_bytes() == (world.folder / name).read_bytes()
    file = tmp_path / "embeddings.safetensors"
    file.write_bytes(file.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(UserError, match=r"embeddings\.safetensors: its content"):
        read_embeddings(tmp_path / "manifest.json")
