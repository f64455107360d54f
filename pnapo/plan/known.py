"""Published facts for what is not here yet: the models' configurations, sizes of downloads, lengths of prompt lists.

Sources: the `config.json` files of stabilityai/stable-diffusion-3-medium-diffusers, -3.5-medium, -3.5-large and
black-forest-labs/FLUX.1-dev on the model hub; those of openai/clip-vit-large-patch14, laion/CLIP-ViT-bigG-14-laion2B and
google/t5-v1_1-xxl, whose text encoders they hold; FacebookAI/xlm-roberta-base, THUDM/ImageReward and
Qwen/Qwen2-VL-7B-Instruct. As written down here they are to be replaced by the folders' own files as soon as these are there.
Parameters that follow: SD3-M 2.03 B, SD3.5-M 2.24 B, SD3.5-L 8.06 B, FLUX.1-dev 11.90 B, T5-XXL's encoder 4.76 B, ImageReward
0.45 B.
"""

from typing import Any

_SD3 = {"attention_head_dim": 64, "in_channels": 16, "out_channels": 16, "patch_size": 2}
_SD3 |= {"joint_attention_dim": 4096, "pooled_projection_dim": 2048}

TRANSFORMERS: dict[str, dict[str, Any]] = {
    "SD3-M": {**_SD3, "num_attention_heads": 24, "num_layers": 24, "pos_embed_max_size": 192},
    "SD3.5-M": {
        **_SD3,
        **{"num_attention_heads": 24, "num_layers": 24, "pos_embed_max_size": 384, "qk_norm": "rms_norm"},
        "dual_attention_layers": list(range(13)),
    },
    "SD3.5-L": {
        **_SD3,
        **{"num_attention_heads": 38, "num_layers": 38, "pos_embed_max_size": 192, "qk_norm": "rms_norm"},
    },
    "FLUX.1": {
        **{"attention_head_dim": 128, "num_attention_heads": 24, "num_layers": 19, "num_single_layers": 38},
        **{"in_channels": 64, "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": True},
    },
}
# Which of them a folder or repository is, by a part of its name; the first that fits, else the first of the family.
NAMES = {
    "sd3": {"3.5-medium": "SD3.5-M", "3.5-large": "SD3.5-L", "": "SD3-M"},
    "flux": {"": "FLUX.1"},
}

_CLIP = {"vocab_size": 49408, "max_position_embeddings": 77}
_CLIP_L = {**_CLIP, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12}
_PROJECTED = {"architectures": ["CLIPTextModelWithProjection"]}
_BIG = {"hidden_size": 1280, "num_attention_heads": 20, "intermediate_size": 5120, "num_hidden_layers": 32}
T5 = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24, "vocab_size": 32128}

TEXT_ENCODERS: dict[str, list[dict[str, Any]]] = {  # in the order of the pipelines; T5 is the last
    "sd3": [
        {**_CLIP_L, **_PROJECTED, "projection_dim": 768},
        {**_CLIP, **_BIG, **_PROJECTED, "projection_dim": 1280},
        T5,
    ],
    "flux": [_CLIP_L, T5],
}
VAE = {
    **{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16},
    **{"use_quant_conv": False, "use_post_quant_conv": False},
}

VIT_H = {  # open_clip's ViT-H-14: HPSv2, PickScore and CLIP score
    "embed_dim": 1024,
    "vision_cfg": {"image_size": 224, "patch_size": 14, "width": 1280, "layers": 32, "head_width": 80},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24},
}
# ImageReward: THUDM/ImageReward's med_config.json, and BLIP's ViT-L.
BERT = {
    **{"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12},
    **{"vocab_size": 30524, "max_position_embeddings": 512},
}
VIT_L = {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "num_hidden_layers": 24}
VIT_L_16 = {**VIT_L, "image_size": 224, "patch_size": 16}
BLIP_TOKENS = 35  # pnapo/rewards/imagereward.py TOKENS
# HPSv3: Qwen2-VL-7B, which sees 256·28·28 pixels as 1024 patches, four to a token; VQAScore: CLIP-FlanT5-xxl.
QWEN2_7B = {
    **{"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944},
    **{"num_hidden_layers": 28, "vocab_size": 152064},
}
QWEN2_VIT = {"hidden_size": 1280, "num_attention_heads": 16, "intermediate_size": 5120, "num_hidden_layers": 32}
QWEN2_VL_PARAMETERS, FLAN_T5_XXL_PARAMETERS = 8_290_000_000, 11_140_000_000
HPSV3_TOKENS, VQASCORE_TOKENS = 1024, 700  # of language: the picture's, the instruction's and a prompt's; an assumption
# Mask2Former Swin-S with COCO's 80 classes, as torch counts it (FlopCounterMode, transformers' model with random weights):
# 448.7 GFLOP at 800 × 800 pixels, 107.2 at 384 × 384. Its authors publish 69 M parameters, and 313 G multiplications and
# additions for COCO's images (800 × 1067 most often). Bytes: the rise of the process's memory by one image of 800 × 800 on a
# CPU, rounded up.
MASK2FORMER = {"parameters": 68_741_083, "flops": 5.0e9, "flops_a_pixel": 693.2e3, "bytes_a_pixel": 1500}
COLOR_TEXTS = 30 * 80  # ten colours in three templates, of each class

XLM_R = {  # Detoxify's multilingual model
    **{"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12},
    **{"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1},
}

# Bytes of downloads that have no `size` in the configuration, each model's weights counted once, in the precision they are
# published in. A repository may hold copies of other precisions or formats, so these are lower bounds.
DOWNLOADS = {
    "stabilityai/stable-diffusion-3.5-medium": 16.3e9,
    "stabilityai/stable-diffusion-3.5-large": 27.6e9,
}

# Prompts of public lists, by the name of their file or, for test sets, of their section: the lists that the paper uses.
ROWS = {"metadata-large.parquet": 1_800_000, "metadata.parquet": 1_500_000}  # distinct ones of DiffusionDB
TESTSETS = {"hpdv2": 3200, "opdv1": 7459, "geneval": 553, "drawbench": 200, "parti": 1632}
WORLD = {"heldout": 616, "freeform": 616, "geneval": 144, "validation": 204}  # the embedded world's, by `source`
