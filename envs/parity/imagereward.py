"""Scores by the official image-reward package, of pictures and prompts N.png, N.txt in a folder: for a parity test.

    python envs/parity/imagereward.py FOLDER PICTURES

FOLDER holds `ImageReward.pt` and `med_config.json`; the current folder holds the tokenizer `bert-base-uncased`. The package's
own model, tokenizer, preprocessing and `score` run as they are; of an image encoder smaller than ViT-L only the sizes are
given to it, and its `__init__` is left out, which imports OpenAI's clip. The last line is JSON.
"""

import importlib
import importlib.util
import json
import math
import sys
import types
from pathlib import Path

import torch
import transformers


def official() -> types.ModuleType:
    """The package's module of the model."""
    root = importlib.util.find_spec("ImageReward").submodule_search_locations[0]
    for name, folder in (
        ("ImageReward", ""),
        ("ImageReward.models", "models"),
        ("ImageReward.models.BLIP", "models/BLIP"),
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(root) / folder)]
        sys.modules[name] = package
    return importlib.import_module("ImageReward.ImageReward")


def main(folder: Path, pictures: Path) -> None:
    module = official()
    pretrain = importlib.import_module("ImageReward.models.BLIP.blip_pretrain")
    encoder = importlib.import_module("ImageReward.models.BLIP.vit").VisionTransformer
    state = torch.load(folder / "ImageReward.pt", map_location="cpu", weights_only=True)
    width, _, patch, _ = state["blip.visual_encoder.patch_embed.proj.weight"].shape
    size = patch * math.isqrt(state["blip.visual_encoder.pos_embed"].shape[1] - 1)
    depth = 1 + max(int(name.split(".")[3]) for name in state if name.startswith("blip.visual_encoder.blocks."))
    sizes = {"img_size": size, "patch_size": patch, "embed_dim": width, "depth": depth, "num_heads": width // 64}
    pretrain.create_vit = lambda *_: (encoder(**sizes), width)
    mlp, text_width = module.MLP, state["mlp.layers.0.weight"].shape[1]
    module.MLP = lambda _: mlp(text_width)
    model = module.ImageReward(med_config=folder / "med_config.json")
    missing, unknown = model.load_state_dict(state, strict=False)
    if missing or unknown:
        raise SystemExit(f"names of the file are not the package's: missing {missing}, unknown {unknown}")
    model.preprocess = module._transform(size)
    model.eval()
    files = sorted(pictures.glob("*.png"), key=lambda path: int(path.stem))
    scores = [model.score(path.with_suffix(".txt").read_text("utf-8"), str(path)) for path in files]
    print(json.dumps({"scores": scores, "transformers": transformers.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
