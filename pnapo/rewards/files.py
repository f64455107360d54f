"""Load weights from files without running code from them, with one clear line when that fails."""

from pathlib import Path

import torch

from pnapo.artifacts import read_tensors
from pnapo.artifacts.pretrained import guarded, read_torch, reason
from pnapo.errors import UserError

__all__ = ["guarded", "load_into", "read_state_dict"]


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or torch file; a torch file may wrap them under "state_dict".

    Never unpickles code. Raises UserError that names the file if it is missing, damaged or holds something else.
    """
    if str(path).endswith(".safetensors"):
        return read_tensors(path)
    loaded = read_torch(path)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no tensors by name, so it is not a weights file")
    return state


def load_into(module: torch.nn.Module, state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Load a state dict into a module, every key of it. Raises UserError that names the file if it does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: does not fit this model ({reason(error)})") from None
