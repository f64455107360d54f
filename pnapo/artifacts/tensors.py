"""Tensors on disk: safetensors, and torch's format where a library insists on it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pnapo.artifacts.files import atomic_path
from pnapo.errors import UserError

if TYPE_CHECKING:
    import torch


def write_tensors(
    path: Path | str, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors and text metadata atomically; the same content gives the same bytes."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file(
            {k: v.detach().contiguous().cpu() for k, v in tensors.items()}, temporary, dict(metadata or {}) or None
        )
        _sort_header(temporary)


def write_checkpoint(path: Path | str, value: object) -> None:
    """Write a checkpoint in torch's own format atomically, for what others read only so; prefer `write_tensors`."""
    import torch

    # Through a handle: given a path, torch writes its name, here a random one, into the file.
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        torch.save(value, handle)


def _sort_header(path: Path) -> None:
    """Put the metadata of a file in order, in place: safetensors writes it in an order that changes from call to call."""
    with open(path, "r+b") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(size))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        # The same keys and values take the same room, so the tensors behind stay where they are.
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= size, path
        handle.seek(8)
        handle.write(text.ljust(size))


def read_tensors(path: Path | str) -> dict[str, "torch.Tensor"]:
    """Read all tensors of a file. Raises UserError that names it if it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged tensor file ({error}); delete it and run again") from None


def read_metadata(path: Path | str) -> dict[str, str]:
    """The text metadata of a file. Raises UserError as `read_tensors` does."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as handle:
            return handle.metadata() or {}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged tensor file ({error}); delete it and run again") from None
