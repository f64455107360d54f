"""The models of a configuration: from their folders where these are there, else from published facts."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pnapo.artifacts import read_json
from pnapo.config.schema import Config, Mask2Former, Model, Reward
from pnapo.plan import encoders, known
from pnapo.plan.architecture import Flops, Transformer, transformer
from pnapo.plan.encoders import Clip, Detector, Tower, Vae

BYTES = {"fp32": 4, "bf16": 2}


class Backbone(NamedTuple):
    """A backbone at its resolution."""

    name: str
    family: str
    dtype: str  # of transformer and text encoders
    resolution: int
    transformer: Transformer
    texts: list[tuple[Tower, int]]  # text encoders, each with the tokens of a prompt
    vae: Vae
    text_tokens: int  # that the transformer sees
    published: str | None  # which model's published configuration stands in for a folder that is not here

    @property
    def itemsize(self) -> int:
        return BYTES[self.dtype]

    @property
    def side(self) -> int:
        """Cells along a side of a latent."""
        return self.resolution // self.vae.scale

    @property
    def latent(self) -> int:
        """Numbers in a latent."""
        return self.vae.channels * self.side**2

    @property
    def tokens(self) -> int:
        """Tokens of image and prompt."""
        return (self.side // 2) ** 2 + self.text_tokens

    @property
    def flops(self) -> Flops:
        """Of one forward pass for one image."""
        return self.transformer.flops((self.side // 2) ** 2, self.text_tokens)

    @property
    def embed(self) -> float:
        """FLOPs of embedding a prompt."""
        return sum(tower.forward(tokens) for tower, tokens in self.texts)

    @property
    def encode(self) -> float:
        """FLOPs from pixels to a latent."""
        return self.vae.encode * self.resolution**2

    @property
    def decode(self) -> float:
        """FLOPs from a latent to pixels."""
        return self.vae.decode * self.resolution**2

    @property
    def embedding(self) -> int:
        """Numbers in the embedding of a prompt."""
        return self.text_tokens * self.transformer.context + self.transformer.pooled

    def true_guidance(self, guidance: float) -> bool:
        """Whether guidance takes a second, unconditional forward pass."""
        return self.family == "sd3" and guidance > 1


def backbone(name: str, model: Model, repo: str = "") -> Backbone:
    """A backbone of the configuration; `repo` is where its folder is fetched from, if it is.

    Raises UserError if a configuration in its folder is damaged or of another family.
    """
    folder = Path(model.path)
    if (folder / "transformer" / "config.json").is_file():
        parts = [f"text_encoder{suffix}" for suffix in ("", "_2", "_3")[: 3 if model.family == "sd3" else 2]]
        part, *texts = (read_json(folder / name / "config.json") for name in ("transformer", *parts))
        return _backbone(name, model, part, texts, read_json(folder / "vae" / "config.json"), None)
    names = known.NAMES[model.family]
    fact = next(fact for key, fact in names.items() if key in f"{repo} {folder.name}".lower())
    given = known.TRANSFORMERS[fact], known.TEXT_ENCODERS[model.family], known.VAE
    return _backbone(name, model, *given, fact)


def published(family: str, resolution: int, max_sequence_length: int, dtype: str = "bf16") -> Backbone:
    """SD3-M or FLUX.1-dev."""
    told = {"resolution": resolution, "max_sequence_length": max_sequence_length, "dtype": dtype}
    return backbone(family, Model(family=family, path="", **told))


def _backbone(
    name: str, model: Model, part: Mapping[str, Any], texts: list, pixels: Mapping[str, Any], fact: str | None
) -> Backbone:
    *clips, last = texts
    towers = [encoders.clip_text(config) for config in clips]
    towers = [(tower, tower.tokens) for tower in towers]
    t5 = (encoders.t5(last), model.max_sequence_length)
    return Backbone(
        name,
        model.family,
        model.dtype,
        model.resolution,
        transformer(model.family, part, f"{model.path}/transformer/config.json"),
        [*towers, t5],
        encoders.vae(pixels),
        t5[1] + (towers[0][1] if model.family == "sd3" else 0),  # SD3 sees CLIP's tokens too
        fact,
    )


def backbones(config: Config) -> dict[str, Backbone]:
    """The backbones that a configuration runs, by name."""
    repos = {download.path: download.repo or "" for download in config.downloads.values()}
    return {
        name: backbone(name, config.models[name], repos.get(config.models[name].path, "")) for name in config.backbones
    }


def open_clip(name: str) -> Clip:
    """An open_clip model: of a folder (`local-dir:`), or by the name that the installed open_clip has for it.

    A name that it does not have, or one with another kind of vision model, counts as a ViT-H-14.
    """
    path = Path(name.removeprefix("local-dir:")) / "open_clip_config.json"
    if not name.startswith("local-dir:"):
        package = importlib.util.find_spec("open_clip")  # where it lies; nothing of it is imported
        root = Path(package.origin).parent if package and package.origin else Path()
        path = root / "model_configs" / f"{name.removesuffix('-quickgelu')}.json"
    config = json.loads(path.read_text("utf-8")) if path.is_file() else known.VIT_H
    try:
        return encoders.open_clip(config.get("model_cfg", config))
    except (KeyError, TypeError):
        return encoders.open_clip(known.VIT_H)


def reward(section: Reward) -> Clip:
    """The network behind a reward; an external program that is not known counts as a ViT-H-14."""
    if section.kind == "external":
        return _external(Path(section.program or "").stem)
    if section.kind == "imagereward":
        path = Path(section.model) / "med_config.json"
        return encoders.blip(known.VIT_L_16, read_json(path) if path.is_file() else known.BERT, known.BLIP_TOKENS)
    if section.kind != "pickscore":
        return open_clip(section.model)
    path = Path(section.model) / "config.json"
    return encoders.clip(read_json(path)) if path.is_file() else encoders.open_clip(known.VIT_H)


def _external(program: str) -> Clip:
    """The networks of the programs in envs/external/, as their authors run them: in bfloat16 or float16."""
    if program == "hpsv3":
        image = encoders.vision_transformer(known.QWEN2_VIT, 1024)
        text = encoders.decoder(known.QWEN2_7B, known.HPSV3_TOKENS)
        return Clip(known.QWEN2_VL_PARAMETERS, image, text, joint=True, size=2)
    if program == "vqascore":
        image = encoders.vision_transformer(known.VIT_L, (336 // 14) ** 2 + 1)
        text = encoders.t5(known.T5)._replace(tokens=known.VQASCORE_TOKENS)
        return Clip(image.parameters + known.FLAN_T5_XXL_PARAMETERS, image, text, joint=True, size=2)
    return encoders.open_clip(known.VIT_H)._replace(size=2 if program == "mps" else 4)


def detector(section: Mask2Former) -> Detector:
    """The networks behind GenEval-HF: Swin-S, whatever the folder holds."""
    return Detector(**known.MASK2FORMER, clip=open_clip(section.clip))


def safety(config: Config) -> Tower:
    """The network of the safety filter."""
    path = Path(config.prompts.safety.config_path or "") / "config.json"
    return encoders.bert(read_json(path) if config.prompts.safety.config_path and path.is_file() else known.XLM_R)
