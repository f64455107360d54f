"""The smallest SD3 there is: a real pipeline folder with random weights, so that a hundred thousand images take minutes."""

from pathlib import Path

from pnapo.config.schema import Model


def write_smallest(folder: Path, side: int = 4) -> Model:
    """Write the pipeline (latents [4, side, side], images of four times that side) and return its configuration section."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )

    from pnapo.world.text import clip_text_encoder, clip_tokenizer, t5_encoder, t5_tokenizer

    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        sample_size=4 * side,
        scaling_factor=0.7,
        shift_factor=0.0,
    )
    transformer = SD3Transformer2DModel(
        sample_size=side,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        pos_embed_max_size=max(8, side // 2),
        qk_norm="rms_norm",
    )
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=clip_text_encoder(clip, 16, True, 1),
        tokenizer=clip,
        text_encoder_2=clip_text_encoder(clip, 16, True, 2),
        tokenizer_2=clip,
        text_encoder_3=t5_encoder(t5, 16, 3),
        tokenizer_3=t5,
    ).save_pretrained(folder)
    return Model(family="sd3", path=str(folder), resolution=4 * side, max_sequence_length=20)
