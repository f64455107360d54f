"""A pipeline in the files in which SD3-M and FLUX.1-dev were published is the one that today's libraries write.

Their CLIP tokenizers are vocabulary and merges, T5's has its old name, FLUX's CLIP has a prefix before its weights, and large
weights are in several files.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pnapo.backbones import load_backbone

TEXTS = ["a photo of two stars", "Naïve  😀 A RING, (left) of a red cross! and a very long tail of words", ""]


def old_tokenizer(folder: Path) -> None:
    """A CLIP tokenizer as vocab.json and merges.txt, as the libraries of 2021 wrote it."""
    file, told = folder / "tokenizer.json", json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    model = json.loads(file.read_text("utf-8"))["model"]
    marks = {key: value for key, value in told.items() if key.endswith("_token")}
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    added = {str(model["vocab"][text]): {"content": text, **flags, "special": True} for text in set(marks.values())}
    config = {"add_prefix_space": False, "added_tokens_decoder": added, "do_lower_case": True, "errors": "replace"}
    config |= {"model_max_length": told["model_max_length"], "tokenizer_class": "CLIPTokenizer", **marks}
    special = {key: {"content": text, **flags} for key, text in marks.items()}
    for name, content in (("vocab", model["vocab"]), ("tokenizer_config", config), ("special_tokens_map", special)):
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    merges = "".join(f"{first} {second}\n" for first, second in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", "utf-8")
    file.unlink()


def split(file: Path) -> None:
    """Weights in two files, with the index that says which is where."""
    state, stem = load_file(file), file.name.removesuffix(".safetensors")
    names = sorted(state)
    places = {name: f"{stem}-{1 + number % 2:05}-of-00002.safetensors" for number, name in enumerate(names)}
    for part in set(places.values()):
        save_file({name: state[name] for name in names if places[name] == part}, file.with_name(part), {"format": "pt"})
    size = sum(value.nbytes for value in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    file.with_name(f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    file.unlink()


def prefixed(file: Path) -> None:
    """A CLIP text model whose weights are called as within a CLIP."""
    state = load_file(file)
    renamed = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in state.items()}
    save_file(renamed, file, {"format": "pt"})


@pytest.fixture(params=["sd3", "flux"])
def both(request, models, tmp_path):
    """The sections of a tiny model, and of the same one as published."""
    model, t5 = models[request.param], {"sd3": 3, "flux": 2}[request.param]
    folder = shutil.copytree(model.path, tmp_path / "published")
    for tokenizer in [folder / "tokenizer", folder / "tokenizer_2"][: t5 - 1]:
        old_tokenizer(tokenizer)
    split(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    split(folder / f"text_encoder_{t5}" / "model.safetensors")
    if request.param == "flux":
        prefixed(folder / "text_encoder" / "model.safetensors")
    index = json.loads((folder / "model_index.json").read_text())
    index[f"tokenizer_{t5}"] = ["transformers", "T5TokenizerFast"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return model, model.model_copy(update={"path": str(folder)})


def test_embeddings_and_velocities_are_the_same(both):
    ours, theirs = (load_backbone(model, {"transformer", "text"}) for model in both)
    written, published = (backbone.encode_prompts(TEXTS) for backbone in (ours, theirs))
    assert written.keys() == published.keys()
    assert all(torch.equal(written[name], published[name]) for name in written)
    assert not torch.equal(written["pooled"][0], written["pooled"][1])
    latents, t = torch.randn(3, *ours.latent_shape, generator=torch.Generator().manual_seed(0)), torch.full((3,), 0.5)
    with torch.no_grad():
        one, other = (backbone.velocity(latents, t, written, 1.0) for backbone in (ours, theirs))
    assert torch.equal(one, other)
