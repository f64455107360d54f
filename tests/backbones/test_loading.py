"""Loading part by part, and clear words about what cannot be loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from pnapo.backbones import load_backbone
from pnapo.backbones.digest import config_digest
from pnapo.config.schema import Model
from pnapo.errors import UserError


def test_only_the_parts_asked_for_are_loaded(models):
    assert set(load_backbone(models["sd3"]).parts) == {"transformer"}
    assert set(load_backbone(models["flux"], {"vae"}).parts) == {"vae"}
    backbone = load_backbone(models["flux"])
    assert backbone.latent_shape == (12, 8, 8)
    assert not any(p.requires_grad for p in backbone.transformer.parameters())


def test_latents_are_whitened_and_back(models):
    backbone = load_backbone(models["sd3"], {"vae"})
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    latents = backbone.encode_images(pixels)
    z = backbone.parts["vae"].encode(pixels).latent_dist.mode()
    assert torch.allclose(latents, (z + 0.05) * 0.7, atol=1e-6)
    assert backbone.decode(latents).shape == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"family": "flux"}, "not a flux pipeline"), ({"path": "no/such/folder"}, "model_index.json: no such file")],
)
def test_a_wrong_folder_is_named(models, change, message):
    with pytest.raises(UserError, match=message):
        load_backbone(Model(**{**models["sd3"].model_dump(), **change}))


@pytest.mark.parametrize(
    ("part", "name", "content", "message"),
    [
        ("transformer", "diffusion_pytorch_model.safetensors", b"cut", "transformer: cannot be loaded"),
        ("transformer", "diffusion_pytorch_model.safetensors", None, "not the weights of this SD3Transformer2DModel"),
        ("text_encoder", "model.safetensors", b"cut", "text_encoder: cannot be loaded"),
        ("text_encoder", "model.safetensors", None, "not the weights of this CLIPTextModelWithProjection"),
        ("tokenizer_3", "tokenizer.json", b"{", "tokenizer_3: cannot be loaded"),
    ],
)
def test_a_damaged_or_foreign_part_is_named(models, tmp_path, part, name, content, message):
    shutil.copytree(models["sd3"].path, tmp_path / "model")
    file = tmp_path / "model" / part / name
    if content is None:
        save_file({"some.other.weight": torch.zeros(3)}, file, {"format": "pt"})
    else:
        file.write_bytes(content)
    model = models["sd3"].model_copy(update={"path": str(tmp_path / "model")})
    with pytest.raises(UserError, match=message) as error:
        load_backbone(model, {"transformer", "text"})
    assert str(file.parent) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("family", "resolution", "message"),
    [
        ("sd3", 36, r"resolution 36 has to be a multiple of 8, 64 at most$"),
        ("sd3", 72, r"resolution 72 has to be a multiple of 8, 64 at most$"),
        ("flux", 36, r"resolution 36 has to be a multiple of 8$"),
    ],
)
def test_a_resolution_that_the_model_cannot_have_is_named(models, family, resolution, message):
    with pytest.raises(UserError, match=message):
        load_backbone(models[family].model_copy(update={"resolution": resolution}), {"vae"})


def test_an_incomplete_pipeline_is_named(models, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(models["sd3"].path, folder)
    model = models["sd3"].model_copy(update={"path": str(folder)})
    (folder / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(UserError, match=r"scheduler_config\.json: no such file"):
        load_backbone(model).sampling_grid(2)
    shutil.rmtree(folder / "text_encoder_2")
    with pytest.raises(UserError, match="text_encoder_2: no such folder"):
        load_backbone(model, {"text"})
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None]}))
    with pytest.raises(UserError, match="the pipeline has no text_encoder"):
        load_backbone(model, {"text"})


def test_architectures_have_different_digests(models):
    digests = {family: config_digest(load_backbone(models[family]).transformer) for family in models}
    assert digests["sd3"] != digests["flux"]
    assert digests["sd3"] == config_digest(load_backbone(models["sd3"]).transformer)
