"""Load weights from files without running code from them, with one clear line when that fails."""

import pickle
from collections.abc import Callable
from pathlib import Path

import torch

from pnapo.artifacts import read_tensors
from pnapo.errors import UserError


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or torch file; a torch file may wrap them under "state_dict".

    Never unpickles code. Raises UserError that names the file if it is missing, damaged or holds something else.
    """
    if str(path).endswith(".safetensors"):
        return read_tensors(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: not a readable weights file ({str(error).splitlines()[0][:120]})") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no tensors by name, so it is not a weights file")
    return state


def load_into(module: torch.nn.Module, state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Load a state dict into a module, every key of it. Raises UserError that names the file if it does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[min(1, str(error).count("\n"))].strip()
        raise UserError(f"{path}: does not fit this model ({reason[:160]})") from None


def guarded(load: Callable, what: str):
    """Call a library's loader; its own exceptions become one line that names `what`."""
    try:
        return load()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{what}: cannot be loaded ({str(error).splitlines()[0][:160]})") from None
