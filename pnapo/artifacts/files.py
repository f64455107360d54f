"""Atomic writes, JSON and hashes."""

import errno
import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pnapo.errors import UserError
from pnapo.refusals import about


def prompt_id(text: str) -> str:
    """The identity of a prompt: the first 16 hex digits of the SHA-256 of its UTF-8 text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def prompt_of(pair: str) -> str:
    """The prompt id of a pair's: of several pairs with one prompt, all but the first have a number behind it."""
    return pair.partition("-")[0]


@contextmanager
def atomic_path(final: Path | str) -> Iterator[Path]:
    """A temporary path beside `final`, renamed to it after an fsync; removed if the block fails.

    The name is drawn at random, so that two processes that make the same file, on one machine or on two that share a
    disk, do not spoil each other's. Raises Refused, a UserError that names `final`, if the system does not let it be written.
    """
    final = Path(final)
    temporary = final.with_name(f".{final.stem}.{uuid4().hex[:12]}.tmp{final.suffix}")
    with about(final, temporary):
        final.parent.mkdir(parents=True, exist_ok=True)
        # Held open while it is written: a network disk tells what it could not keep to whoever has the file open, and the
        # libraries that write do not listen when they close it.
        with open(temporary, "wb") as handle:
            try:
                os.utime(temporary, (0, 0))  # whoever writes it changes that
                yield temporary
                os.fsync(handle.fileno())
                with open(temporary, "rb") as written:  # safetensors replaces the file by another
                    os.fsync(written.fileno())
                    if not os.fstat(written.fileno()).st_mtime:
                        raise FileNotFoundError(errno.ENOENT, "nobody has written it", str(final))
                os.replace(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically, with Unix line ends."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "surrogatepass"))


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON atomically: sorted keys, two spaces, a final newline."""
    write_text(path, json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON. Raises UserError that names the file if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a JSON file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def files_of(path: Path | str, suffix: str = ".parquet") -> list[str]:
    """The files that a path means, in order: those of a folder with the suffix, those that fit its pattern, or itself.

    A pattern has *, ? or [ in it, and no file of that very name is there. What does not exist is left out.
    """
    if os.path.isdir(path):
        return sorted(str(file) for file in Path(path).glob(f"*{suffix}"))
    if os.path.exists(path):
        return [str(path)]
    return sorted(filter(os.path.isfile, glob.glob(str(path)))) if glob.has_magic(str(path)) else []
