"""Prompt embeddings, computed once for each prompt list and shared by generation, training and evaluation."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from pnapo.artifacts import (
    read_metadata,
    read_table,
    read_tensors,
    require_intact,
    write_manifest,
    write_tensors,
)
from pnapo.backbones import Backbone, Cond
from pnapo.errors import UserError

FILE = "embeddings.safetensors"


def write_embeddings(backbone: Backbone, prompts: Path | str, manifest: Path | str) -> None:
    """Embed a prompt table (columns prompt_id, prompt) and the empty prompt; write the folder of `manifest`."""
    table = read_table(prompts, ["prompt_id", "prompt"])
    cond = backbone.encode_prompts(list(table["prompt"]))
    null = backbone.encode_prompts([""])
    tensors = {**cond, **{f"null_{name}": value for name, value in null.items()}}
    folder = Path(manifest).parent
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / FILE, tensors, {"prompt_ids": json.dumps(list(table["prompt_id"]))})
    settings = {
        "family": backbone.family,
        "model": backbone.path,
        "max_sequence_length": backbone.max_sequence_length,
    }
    write_manifest(manifest, "embeddings", settings, [FILE], count=len(table))


class Embeddings:
    """The embeddings of a prompt list, looked up by prompt id."""

    def __init__(self, tensors: dict[str, torch.Tensor], prompt_ids: Sequence[str], origin: str):
        self._tensors = tensors
        self._row = {prompt_id: row for row, prompt_id in enumerate(prompt_ids)}
        self._origin = origin

    def rows(self, prompt_ids: Sequence[str]) -> Cond:
        """ "prompt_embeds" [N, L, D] and "pooled" [N, P] of the prompts. Raises UserError if one is not in the list."""
        try:
            rows = [self._row[prompt_id] for prompt_id in prompt_ids]
        except KeyError as error:
            raise UserError(
                f"{self._origin}: no embedding of prompt {error.args[0]}; delete it and run again"
            ) from None
        return {name: self._tensors[name][rows] for name in ("prompt_embeds", "pooled")}

    def null(self) -> Cond:
        """One row each for the empty prompt, for classifier-free guidance."""
        return {name: self._tensors[f"null_{name}"] for name in ("prompt_embeds", "pooled")}


def read_embeddings(manifest: Path | str) -> Embeddings:
    """Open the embeddings of a prompt list. Raises UserError if they are missing or damaged."""
    require_intact(manifest, "embeddings")
    file = Path(manifest).parent / FILE
    return Embeddings(read_tensors(file), json.loads(read_metadata(file)["prompt_ids"]), str(manifest))
