"""Prompt embeddings are stored once and looked up by prompt."""

import pytest
import torch

from pnapo.artifacts import prompt_id, read_tensors, write_manifest, write_tensors
from pnapo.backbones import load_backbone
from pnapo.errors import UserError
from pnapo.pairs import embeddings
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


def test_a_part_at_a_time_changes_nothing_and_half_precision_is_kept_as_it_is(world, models, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "AT_ONCE", 5)
    write_embeddings(load_backbone(models["sd3"], {"text"}), world.table, tmp_path / "manifest.json")
    assert (tmp_path / "manifest.json").read_bytes() == (world.folder / "manifest.json").read_bytes()

    half = load_backbone(models["sd3"].model_copy(update={"dtype": "bf16"}), {"text"})
    write_embeddings(half, world.table, tmp_path / "half" / "manifest.json")
    stored = read_tensors(tmp_path / "half" / "embeddings.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    rows = read_embeddings(tmp_path / "half" / "manifest.json").rows(list(world.prompts["prompt_id"]))
    for name, value in half.encode_prompts(list(world.prompts["prompt"])).items():
        assert rows[name].dtype == torch.float32 and torch.equal(rows[name], value)


def test_only_what_is_asked_for_is_read(world):
    ids = list(world.prompts["prompt_id"][:3])
    whole, part = world.embeddings.rows(ids), world.embeddings.rows(ids, ("pooled",))
    assert list(part) == ["pooled"] and part["pooled"].equal(whole["pooled"])


@pytest.mark.parametrize("ids", ["{}", "[1, 2]", "[", '["a", "b", "c"]', None])
def test_a_file_of_something_else_is_refused_although_its_manifest_lists_it(ids, tmp_path):
    rows = {f"{null}{name}": torch.zeros(1 if null else 2, 4) for null in ("", "null_") for name in embeddings.TENSORS}
    write_tensors(tmp_path / embeddings.FILE, rows, {} if ids is None else {"prompt_ids": ids})
    write_manifest(tmp_path / "manifest.json", "embeddings", {}, [embeddings.FILE])
    with pytest.raises(UserError, match="does not hold one embedding of each prompt"):
        read_embeddings(tmp_path / "manifest.json")
