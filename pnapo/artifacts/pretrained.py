"""Weights and folders in other libraries' formats: loaded whole and fitting, or refused with one clear line.

Nothing is fetched from a network and no code in a file is ever run.
"""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pnapo.artifacts.manifest import read_manifest
from pnapo.errors import UserError
from pnapo.refusals import about, raise_refused
from pnapo.text import one_line, redacted


def reason(error: Exception) -> str:
    """What an exception of another library says, in one short line."""
    lines = [one_line(line.strip()) for line in redacted(str(error)).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return text if len(text) <= 160 else f"{text[:159]}…"


def guarded(load: Callable[[], Any], what: str) -> Any:
    """Call a library's loader; whatever it raises (no two agree on what) becomes one line that names `what`."""
    _ask_nothing()
    try:
        return load()
    except UserError:
        raise
    except Exception as error:
        raise_refused(error, what)
        _require_readable(Path(what))
        if "trust_remote_code" in str(error):
            raise UserError(f"{what}: asks to run code of its own, which is never done; take another folder") from error
        raise UserError(f"{what}: cannot be loaded ({reason(error)})") from error


def _ask_nothing() -> None:
    """With no time for an answer, transformers refuses a folder's own code where it would ask on the terminal."""
    from transformers import dynamic_module_utils

    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0


def _require_readable(folder: Path) -> None:
    """Raise Refused for a file in a folder that the system does not let be opened: safetensors calls it missing."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_file():
            with about(path), open(path, "rb"):
                pass


def published(folder: Path | str) -> tuple[str, str]:
    """What others know a model folder as: the repository that it was fetched from, and its commit.

    Of a folder without a (readable) record of its download: its own path, and "".
    """
    try:
        fetched = read_manifest(Path(folder, "fetched.json"), "download")["settings"]
        return str(fetched["repo"]), str(fetched["commit"])
    except (UserError, KeyError, OSError):  # OSError: a name that is too long
        return str(folder), ""


def from_folder(component: type, folder: Path | str, **keywords: Any) -> Any:
    """`component.from_pretrained` of a model, tokenizer or processor folder.

    Raises UserError that names the folder if it is missing or damaged, or if it lacks some of a model's weights, which the
    libraries would quietly fill with random numbers.
    """
    from torch.nn import Module

    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder")
    if not issubclass(component, Module):
        return guarded(lambda: component.from_pretrained(folder, local_files_only=True, **keywords), str(folder))
    model, info = guarded(
        lambda: component.from_pretrained(folder, local_files_only=True, output_loading_info=True, **keywords),
        str(folder),
    )
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        raise UserError(
            f"{folder}: not the weights of this {component.__name__}; {len(missing)} are missing, such as {missing[0]}"
        )
    return model


def read_torch(path: Path | str) -> Any:
    """The plain content (tensors, numbers, texts, lists, dictionaries) of a torch file, on the CPU.

    Raises UserError that names the file if it is missing or damaged, or holds anything else, such as code.
    """
    import torch

    if not os.path.exists(path):
        raise UserError(f"{path}: no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: damaged, or holds more than plain data (code in it is never run)") from error
    except Exception as error:  # on foreign bytes the unpickler raises almost anything
        raise_refused(error, path)
        raise UserError(f"{path}: not a readable weights file ({reason(error)})") from error
