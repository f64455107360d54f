"""Seals: a file that no manifest lists carries its own hash, and says where it belongs.

A seal is the text `pnapo-seal:DIGEST:PLACE;`, once in a file: the value of the key `seal` in JSON, in the footer of a
Parquet file, in the metadata of a safetensors file. DIGEST is the SHA-256 of all bytes of the file, its own 64 digits read
as zeros. PLACE is the file's path below the results folder it was written into, percent-encoded, or empty elsewhere: a
whole file in the place of another is found too.

The results folder is what PNAPO_RESULTS says; the workflow sets it, and every job inherits it. Below it a file without a
seal is refused (a damaged seal looks like none), and so is one with the seal of another place. Elsewhere lie files of
users: they may have no seal and any name, but a seal that they have must fit.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pnapo.artifacts.files import atomic_path
from pnapo.errors import UserError
from pnapo.refusals import about

KEY = "seal"
RESULTS = "PNAPO_RESULTS"  # the variable of the environment that names the results folder
AGAIN = "delete it and run again"
_NONE = "0" * 64
_SEAL = rb"pnapo-seal:([0-9a-f]{64}):([A-Za-z0-9_.~/%-]*);"
# A text inside a file cannot look like its seal: quotes and line ends are escaped in JSON, and in a Parquet file the
# footer's keys come after the texts of its statistics.
_IN_JSON = re.compile(rb'^  "seal": "' + _SEAL, re.MULTILINE)
_IN_HEADER = re.compile(rb'"seal":"' + _SEAL)
_IN_FOOTER = re.compile(_SEAL)


class Seal(NamedTuple):
    """The seal of a file: where its digits begin, its digest, and the place it was written for ("" if for none)."""

    offset: int
    digest: str
    place: str


def results_folder() -> Path | None:
    """The results folder of the workflow that this process works for, if any."""
    found = os.environ.get(RESULTS)
    return Path(found) if found else None


def place_of(path: Path | str, results: Path | None) -> str:
    """The place of a file as its seal says it: its path below `results`; empty if it lies elsewhere."""
    if results is None:
        return ""
    # Links are not followed: a place is a name, wherever the disk is.
    below = Path(os.path.relpath(os.path.abspath(path), os.path.abspath(results))).as_posix()
    return "" if below.split("/")[0] == ".." else quote(below, safe="/")


def blank(path: Path | str) -> str:
    """A seal to write into a file that will be `path`; `close` fills it."""
    return f"pnapo-seal:{_NONE}:{place_of(path, results_folder())};"


def close(file: Path) -> None:
    """Fill the blank seal of a file that was just written. Raises RuntimeError if there is none."""
    with open(file, "r+b") as handle:
        seal = _find(handle, file.suffix)
        if seal is None or seal.digest != _NONE:
            raise RuntimeError(f"{file}: written without a blank seal")
        digest = _digest(handle, seal.offset)
        handle.seek(seal.offset)
        handle.write(digest.encode())


@contextmanager
def sealed_path(final: Path | str) -> Iterator[Path]:
    """`atomic_path` for a file that the block writes with the seal `blank(final)`."""
    with atomic_path(final) as temporary:
        yield temporary
        close(temporary)


def read_seal(path: Path | str) -> Seal | None:
    """The seal of a file, unchecked; None if it has none, or is too damaged to tell, or is no file."""
    if not os.path.isfile(path):
        return None
    with about(path), open(path, "rb") as handle:
        return _find(handle, Path(path).suffix)


def seal_problem(path: Path | str, results: Path | None = None) -> str | None:
    """What is wrong with the seal of a file that is there, named; None if nothing is.

    `results` is the results folder of which the file is a part, by default that of this process's workflow.
    """
    results = results or results_folder()
    place = place_of(path, results)
    with open(path, "rb") as handle:
        seal = _find(handle, Path(path).suffix)
        if seal is None:
            return f"{path}: has no seal, so it is damaged or was not made by this workflow" if place else None
        if _digest(handle, seal.offset) != seal.digest:
            return f"{path}: damaged, its content is not what its seal says"
    if place and seal.place and seal.place != place:
        return f"{path}: lies in another's place, it was written as {seal.place}"
    return None


def require_seal(path: Path | str) -> None:
    """Raises UserError for a damaged or misplaced file, and below the results folder for one without a seal.

    What is missing is left to the reader of its format.
    """
    if not os.path.isfile(path):
        return
    with about(path):
        problem = seal_problem(path)
    if problem:
        raise UserError(f"{problem}; {AGAIN}")


def _find(handle, suffix: str) -> Seal | None:
    """The seal in an open file of this kind."""
    size = handle.seek(0, os.SEEK_END)
    if suffix == ".parquet":  # … footer, its length in 4 bytes, PAR1
        handle.seek(max(0, size - 8))
        length = int.from_bytes(handle.read(4), "little")
        start, end = size - 8 - length, size - 8
    elif suffix == ".safetensors":  # header's length in 8 bytes, header, …
        handle.seek(0)
        start, end = 8, 8 + int.from_bytes(handle.read(8), "little")
    else:
        start, end = 0, size
    if start < 0 or end > size:
        return None
    handle.seek(start)
    text = handle.read(end - start)
    pattern = {".parquet": _IN_FOOTER, ".safetensors": _IN_HEADER}.get(suffix, _IN_JSON)
    found = list(pattern.finditer(text))
    if not found:
        return None
    last = found[-1]
    return Seal(start + last.start(1), last[1].decode(), last[2].decode())


def _digest(handle, offset: int) -> str:
    """The SHA-256 of an open file with the 64 digits at `offset` read as zeros."""
    found, left = hashlib.sha256(), offset
    handle.seek(0)
    while part := handle.read(min(left, 1 << 20)):
        found.update(part)
        left -= len(part)
    found.update(_NONE.encode())
    handle.seek(offset + len(_NONE))
    while part := handle.read(1 << 20):
        found.update(part)
    return found.hexdigest()
