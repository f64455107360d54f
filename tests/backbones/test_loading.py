"""Loading part by part, and clear words about what cannot be loaded."""

import pytest
import torch

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


def test_architectures_have_different_digests(models):
    digests = {family: config_digest(load_backbone(models[family]).transformer) for family in models}
    assert digests["sd3"] != digests["flux"]
    assert digests["sd3"] == config_digest(load_backbone(models["sd3"]).transformer)
