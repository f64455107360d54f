"""Backbones behind one protocol (`Backbone`): SD3 and FLUX, loaded part by part from a diffusers pipeline folder."""

from pathlib import Path
from typing import Any

import torch

from pnapo.artifacts import read_json
from pnapo.artifacts.pretrained import from_folder
from pnapo.backbones.base import Backbone, Cond
from pnapo.backbones.flux import FluxBackbone
from pnapo.backbones.sd3 import SD3Backbone
from pnapo.config.schema import Model
from pnapo.errors import UserError

__all__ = ["Backbone", "Cond", "FluxBackbone", "SD3Backbone", "load_backbone"]

FAMILIES: dict[str, type[Backbone]] = {"sd3": SD3Backbone, "flux": FluxBackbone}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def load_backbone(model: Model, parts: set[str] = frozenset({"transformer"}), device: str = "cpu") -> Backbone:
    """Load the parts of a backbone that a job needs: any of "transformer", "text", "vae".

    Raises UserError if the folder is missing, incomplete, or of another family, or if the model cannot have the resolution.
    """
    cls, folder = FAMILIES[model.family], Path(model.path)
    index = read_json(folder / "model_index.json")
    index = index if isinstance(index, dict) else {}
    if index.get("transformer") != ["diffusers", cls.transformer_class]:
        raise UserError(f"{folder}: not a {model.family} pipeline; its transformer is {index.get('transformer')}")
    _require_resolution(model)
    names = [name for name in ("transformer", "vae") if name in parts]
    names += list(cls.text_components) if "text" in parts else []
    loaded = {}
    for name in names:
        component = _component(folder, name, index.get(name))
        if name.startswith("tokenizer"):
            loaded[name] = from_folder(component, folder / name)
            continue
        dtype = torch.float32 if name == "vae" else DTYPES[model.dtype]
        keyword = "dtype" if index[name][0] == "transformers" else "torch_dtype"
        loaded[name] = from_folder(component, folder / name, **{keyword: dtype})
    return cls(
        loaded,
        path=model.path,
        resolution=model.resolution,
        max_sequence_length=model.max_sequence_length,
        device=device,
    )


def _component(folder: Path, name: str, listed: Any) -> type:
    """The class of a pipeline's part.

    A folder names any module that is there to import, so only two libraries count, and of them only models and tokenizers
    themselves: an "auto" class or a pipeline would look for code in the folder.
    """
    import diffusers
    import transformers

    library, class_name = listed if isinstance(listed, list) and len(listed) == 2 else (None, None)
    if class_name is None:
        raise UserError(f"{folder}: the pipeline has no {name}")
    known = {
        "diffusers": (diffusers, diffusers.ModelMixin),
        "transformers": (transformers, (transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase)),
    }
    module, kinds = known.get(library, (None, ()))
    found = getattr(module, class_name, None) if isinstance(class_name, str) else None
    if not (isinstance(found, type) and issubclass(found, kinds)):
        raise UserError(
            f"{folder}: its {name} is {library}.{class_name}, no model or tokenizer of diffusers or transformers"
        )
    return found


def _require_resolution(model: Model) -> None:
    """Raise UserError unless pixels make whole tokens (patches of 2×2 latent cells), and no more than have a position."""
    folder = Path(model.path)
    pixels = 2 * 2 ** (len(read_json(folder / "vae" / "config.json")["block_out_channels"]) - 1)  # along a token's side
    most = read_json(folder / "transformer" / "config.json").get("pos_embed_max_size")  # SD3 alone has a table
    if model.resolution % pixels or (most and model.resolution > most * pixels):
        limit = f", {most * pixels} at most" if most else ""
        raise UserError(f"{folder}: resolution {model.resolution} has to be a multiple of {pixels}{limit}")
