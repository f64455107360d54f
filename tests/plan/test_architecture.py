"""Parameters and FLOPs: against the shipped weights to the last number, published counts, and values worked out by hand."""

import pytest

from pnapo.errors import UserError
from pnapo.plan import encoders, known
from pnapo.plan.architecture import Flops, flux, sd3, transformer
from pnapo.plan.models import open_clip, published


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_parameters_are_those_of_the_shipped_weights(shipped, family):
    config, numbers = shipped(f"{family}/transformer")
    model = transformer(family, config, "here")
    assert model.parameters + model.buffers == numbers
    config, numbers = shipped(f"{family}/vae")
    assert encoders.vae(config).parameters == numbers


@pytest.mark.parametrize(
    ("folder", "count"),
    [
        ("sd3/text_encoder", encoders.clip_text),
        ("flux/text_encoder", encoders.clip_text),
        ("sd3/text_encoder_3", encoders.t5),
        ("pickscore", encoders.clip),
    ],
)
def test_encoders_too(shipped, folder, count):
    config, numbers = shipped(folder)
    assert count(config).parameters == numbers


def test_and_open_clip(shipped):
    config, numbers = shipped("clip", "open_clip_config.json")
    assert encoders.open_clip(config["model_cfg"]).parameters == numbers


def test_published_counts():
    """As the models' authors round them, and as diffusers, transformers and open_clip count them."""
    counts = {"SD3-M": 2.03e9, "SD3.5-M": 2.24e9, "SD3.5-L": 8.06e9, "FLUX.1": 11.90e9}
    for name, count in counts.items():
        made = (flux if name == "FLUX.1" else sd3)(known.TRANSFORMERS[name])
        assert made.parameters == pytest.approx(count, rel=0.003), name
    clip_l, clip_g, t5 = published("sd3", 1024, 256).texts
    assert [tower.parameters for tower, _ in (clip_l, clip_g, t5)] == [123_650_304, 694_659_840, 4_762_310_656]
    assert published("flux", 1024, 512).vae.parameters == 83_819_683
    assert encoders.open_clip(known.VIT_H).parameters == open_clip("ViT-H-14").parameters == 986_109_441
    assert open_clip("ViT-L-14-quickgelu").parameters == 427_616_513
    assert encoders.decoder(known.QWEN2_7B, 1).parameters == 7_615_616_512  # Qwen2-7B


def test_flops_of_the_tiny_sd3_by_hand(shipped):
    """d = 128, four blocks, 16 tokens of image and 34 of prompt; a block has 12·d² weights for each stream."""
    config, _ = shipped("sd3/transformer")
    square = 128 * 128
    image = 48 * 128 + 4 * 12 * square + 128 * 48  # patches of 2×2×12 in and out
    text = 64 * 128 + 3 * 12 * square + 3 * square  # the last block reads the prompt, and gives none
    once = (256 * 128 + square) + (64 * 128 + square) + (4 * 6 + 3 * 6 + 2 + 2) * square  # t, prompt, modulations
    linear = 2 * (16 * image + 34 * text + once)
    assert sd3(config).flops(16, 34) == Flops(linear, 4 * 4 * (50 * 50 * 128))
    assert (linear, once) == (71_221_248, 827_392)


def test_flops_of_a_tiny_flux_by_hand(shipped):
    config, _ = shipped("flux/transformer")  # two blocks and three
    square, model = 128 * 128, flux(config)
    assert model.image == 48 * 128 * 2 + 5 * 12 * square
    assert model.text == 64 * 128 + 5 * 12 * square
    assert model.once == (2 * 256 + 64) * 128 + (2 + 1 + 2 * 12 + 3 * 3 + 2) * square
    assert model.adapted == 2 * 128 * (2 * 8 + 3 * 3)


def test_forward_and_backward():
    flops = Flops(linear=10.0, attention=3.0)
    assert (flops.forward, flops.training(), flops.training("lora")) == (13, 39, 13 + 10 + 6)
    assert flops.training(checkpointing=True) == 52


def test_the_vae_by_hand():
    """One level of 4 channels at the picture's size, a latent of 2: every convolution counted."""
    config = {"block_out_channels": [4, 4], "layers_per_block": 1, "latent_channels": 2, "use_post_quant_conv": False}
    vae = encoders.vae(config)
    resnets = 2 * 2 * (9 * 16)  # two for each level going up
    assert vae.decode == 2 * (9 * 4 * 3 + resnets + 9 * 16 + (9 * 2 * 4 + resnets + resnets) / 4)
    assert (vae.scale, vae.decode_widest) == (2, 4)


def test_what_is_no_configuration_is_one_line():
    with pytest.raises(UserError, match=r"here: not the configuration of a sd3 transformer \(lacks 'num_attention"):
        transformer("sd3", {}, "here")
