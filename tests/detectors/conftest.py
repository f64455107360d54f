"""A tiny Mask2Former with random weights in the hub's format, and pictures for it."""

from types import SimpleNamespace

import numpy as np
import pytest

# COCO's classes in its order. The id2label of facebook/mask2former-swin-small-coco-instance may spell some as Pascal VOC does.
_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,"
    "skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
    "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,"
    "dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO = _NAMES.split(",")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """config.json, model.safetensors and preprocessor_config.json, whose size is 384 × 384 as on the hub."""
    import torch
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    torch.set_num_threads(1)
    torch.manual_seed(0)
    stages = [f"stage{number}" for number in (1, 2, 3, 4)]
    swin = SwinConfig(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, out_features=stages)
    width = {"hidden_dim": 32, "feature_size": 32, "mask_feature_size": 32, "num_attention_heads": 2}
    layers = {"encoder_layers": 1, "decoder_layers": 2, "encoder_feedforward_dim": 16, "dim_feedforward": 16}
    names = {"id2label": dict(enumerate(COCO)), "label2id": {name: number for number, name in enumerate(COCO)}}
    config = Mask2FormerConfig(backbone_config=swin, num_queries=7, **width, **layers, **names)
    network = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        network.class_predictor.weight.mul_(40)  # so that some classes are likely
    path = tmp_path_factory.mktemp("mask2former")
    network.save_pretrained(path)
    Mask2FormerImageProcessor(size={"height": 384, "width": 384}).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def settings(folder, rewards):
    """The detector's section of the configuration."""
    from pnapo.config.schema import Mask2Former

    return Mask2Former(model=str(folder), clip=rewards["clip"].model, side=64, batch=3)


@pytest.fixture(scope="session")
def pictures():
    """Smooth random pictures, uint8 [H, W, 3], most of one size."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    sizes = [(48, 48)] * 4 + [(40, 60)] + [(48, 48)] * 3
    smooth = [ndimage.gaussian_filter(rng.uniform(-400, 700, (*size, 3)), (3, 3, 0)) for size in sizes]
    return [picture.clip(0, 255).astype(np.uint8) for picture in smooth]


@pytest.fixture(scope="session")
def plain(folder):
    """plain(image) → logits of classes and masks, by transformers alone, the shortest side at 64."""
    import torch
    from PIL import Image
    from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    network = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    processor = Mask2FormerImageProcessor.from_pretrained(folder, size={"shortest_edge": 64, "longest_edge": 106})

    def logits(image):
        with torch.no_grad():
            inputs = processor(Image.fromarray(image), return_tensors="pt")
            output = network(**inputs)
        size = tuple(inputs["pixel_values"].shape[2:])
        return SimpleNamespace(classes=output.class_queries_logits[0], masks=output.masks_queries_logits[0], seen=size)

    return logits
