"""The resumable state of a training: weights, optimizer, averages, step and log offsets, in one file.

Of a policy that is split over processes, weights, optimizer and averages lie in a folder beside it, which the file names. It is
written when all of the folder is there, so that a kill leaves the one before.
"""

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from pnapo.artifacts import atomic_path, sha256
from pnapo.artifacts.pretrained import reason
from pnapo.refusals import raise_refused

KEPT = "kept"  # the folder beside a state with weights to fall back to


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state atomically: tensors, numbers, strings and containers of them."""
    # Through a handle: given a path, torch writes its name, here a random one, into the file.
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        torch.save(dict(state), handle)


def sha256_of_head(path: Path, size: int) -> str:
    """The SHA-256 of a file's first bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while size and (block := handle.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def parts_folder(path: Path, step: int) -> Path:
    """Where the parts of a split policy's state after so many steps lie, for the state file `path`."""
    return path.with_name(f"{path.stem}-{step}")


def parts_of_rank(folder: Path, rank: int) -> list[Path]:
    """The files that a process has written there; the first one's are also those about all."""
    mine = re.compile(rf"__{rank}_.*" if rank else r"__0_.*|\.metadata")
    return sorted(path for path in folder.iterdir() if mine.fullmatch(path.name))


def damaged_parts(work: Path, state: Mapping[str, Any], mine: range) -> str:
    """What is wrong with those of a split policy's parts whose numbers are `mine`; empty if nothing is."""
    folder = work / state["parts"]
    for name in sorted(state["parts_sha256"])[mine.start : mine.stop]:
        file = folder / name
        if not file.exists() or sha256(file) != state["parts_sha256"][name]:
            return f"{file}: not as it was when its state was saved"
    return ""


def drop_other_parts(kept: Path) -> None:
    """Remove the parts of other steps."""
    for folder in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-*/"):
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)


def load_state(path: Path, key: str, log: Callable[[str], None], *, split: bool = False) -> dict[str, Any] | None:
    """The state to resume from; None if there is none, or if it is damaged or made from something else (which is logged).

    `key` is the hash of everything that the training is made from, settings, pairs, weights and sources among it.
    Damage is what the state's own checksums show, a log whose part up to the state is not as it was (`heads`: SHA-256 by name),
    and kept weights that are not (`proofs`: SHA-256 by path from the state's folder). Those to fall back to, in `KEPT`, may be
    gone: only the last few are kept.
    `split`: whether it has to be that of a policy which is split over processes, or of one which is not. Raises Refused if
    the system does not let it be read.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums that it wrote
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"its part {damaged} is not what was written")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on foreign bytes the unpickler raises almost anything
        raise_refused(error, path)  # the state may be whole: days of training are not thrown away for it
        log(f"{path}: damaged state ({reason(error)}); starting from step 0")
        return None
    if not isinstance(state, dict) or state.get("key") != key:
        log(f"{path}: the state of a run with other settings, data, weights or sources; starting from step 0")
        return None
    if "heads" not in state or "proofs" not in state:
        log(f"{path}: the state of an older version; starting from step 0")
        return None
    if ("parts" in state) != split:
        log(f"{path}: the state of {'one process' if split else 'several processes'}; starting from step 0")
        return None
    for name, offset in state["offsets"].items():
        file = path.parent / name
        if not file.exists() or file.stat().st_size < offset:
            log(f"{file}: shorter than its state says; starting from step 0")
            return None
        if sha256_of_head(file, offset) != state["heads"][name]:
            log(f"{file}: not as it was when its state was saved; starting from step 0")
            return None
    for name, digest in state["proofs"].items():
        file = path.parent / name
        if name.startswith(f"{KEPT}/") and not file.exists():
            continue
        if not file.exists() or sha256(file) != digest:
            log(f"{file}: not the weights that were kept; starting from step 0")
            return None
    return state
