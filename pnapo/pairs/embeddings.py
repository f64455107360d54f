"""Prompt embeddings, computed once for each prompt list and shared by generation, training and evaluation."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from pnapo.artifacts import (
    prompt_of,
    read_metadata,
    read_table,
    read_tensors,
    require_intact,
    tensor_writer,
    write_manifest,
    write_table,
)
from pnapo.backbones import Backbone, Cond, load_backbone
from pnapo.config.schema import Model
from pnapo.errors import UserError

FILE = "embeddings.safetensors"
TENSORS = ("prompt_embeds", "pooled")
AT_ONCE = 512  # prompts whose embeddings are in memory at once


def write_embeddings(backbone: Backbone, prompts: Path | str, manifest: Path | str) -> None:
    """Embed a prompt table (columns prompt_id, prompt) and the empty prompt; write the folder of `manifest`.

    Tensors "prompt_embeds" [N, L, D] and "pooled" [N, P] in the text encoders' precision, the empty prompt's as "null_…".
    """
    table = read_table(prompts, ["prompt_id", "prompt"])
    texts, dtype = list(table["prompt"]), backbone.text_dtype
    null = {f"null_{name}": value.to(dtype) for name, value in backbone.encode_prompts([""]).items()}
    layout = {name: (dtype, value.shape) for name, value in null.items()}
    layout |= {name[5:]: (dtype, (len(texts), *value.shape[1:])) for name, value in null.items()}
    file = Path(manifest).with_name(FILE)
    with tensor_writer(file, layout, {"prompt_ids": json.dumps(list(table["prompt_id"]))}) as put:
        for name, value in null.items():
            put(name, 0, value)
        for start in range(0, len(texts), AT_ONCE):
            for name, value in backbone.encode_prompts(texts[start : start + AT_ONCE]).items():
                put(name, start, value.to(dtype))
    settings = {
        "family": backbone.family,
        "model": backbone.path,
        "max_sequence_length": backbone.max_sequence_length,
    }
    write_manifest(manifest, "embeddings", settings, [FILE], count=len(table))


def embed(model: Model, prompts: pd.DataFrame, folder: Path, device: str = "cpu") -> Path:
    """The manifest of the embeddings of prompts (columns prompt_id and prompt), below `folder`; made unless they are there.

    The text encoders are loaded for it alone, and gone afterwards.
    """
    key = json.dumps([model.model_dump(exclude={"pairs"}), list(prompts["prompt"])])
    manifest = folder / f"embeddings-{hashlib.sha256(key.encode()).hexdigest()[:16]}" / "manifest.json"
    try:
        require_intact(manifest, "embeddings")
    except UserError:
        write_table(manifest.with_name("prompts.parquet"), prompts[["prompt_id", "prompt"]])
        write_embeddings(load_backbone(model, {"text"}, device), manifest.with_name("prompts.parquet"), manifest)
        if device != "cpu":
            torch.cuda.empty_cache()  # for the process that trains there
    return manifest


class Embeddings:
    """The embeddings of a prompt list, looked up by prompt id; read from their file when they are asked for."""

    def __init__(self, tensors: dict[str, torch.Tensor], prompt_ids: Sequence[str], origin: str, digest: str = ""):
        self._tensors = tensors
        self._row = {prompt_id: row for row, prompt_id in enumerate(prompt_ids)}
        self._origin = origin
        self.digest = digest  # SHA-256 of the file

    def rows(self, prompt_ids: Sequence[str], names: Sequence[str] = TENSORS) -> Cond:
        """ "prompt_embeds" [N, L, D] and "pooled" [N, P], or one of them, of the prompts, or of the prompts of pairs, float32.

        Raises UserError if one is not in the list.
        """
        try:
            rows = [self._row[prompt_of(prompt_id)] for prompt_id in prompt_ids]
        except KeyError as error:
            raise UserError(
                f"{self._origin}: no embedding of prompt {error.args[0]}; delete it and run again"
            ) from None
        return {name: self._tensors[name][rows].float() for name in names}

    def null(self) -> Cond:
        """One row each for the empty prompt, for classifier-free guidance."""
        return {name: self._tensors[f"null_{name}"].float() for name in TENSORS}


def read_embeddings(manifest: Path | str) -> Embeddings:
    """Open the embeddings of a prompt list. Raises UserError if they are missing, damaged or no embeddings of prompts."""
    files = require_intact(manifest, "embeddings")["files"]
    if FILE not in files:
        raise UserError(f"{manifest}: does not list {FILE}; delete it and run again")
    file = Path(manifest).parent / FILE
    tensors = read_tensors(file)
    try:
        ids = json.loads(read_metadata(file)["prompt_ids"])
        good = isinstance(ids, list) and all(isinstance(name, str) for name in ids)
        good = good and all(len(tensors[n]) == len(ids) and len(tensors[f"null_{n}"]) == 1 for n in TENSORS)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise UserError(f"{file}: does not hold one embedding of each prompt; delete it and run again")
    return Embeddings(tensors, ids, str(manifest), files[FILE]["sha256"])
