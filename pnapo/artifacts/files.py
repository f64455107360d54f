"""Atomic writes, JSON and hashes."""

import errno
import glob
import hashlib
import json
import os
import time
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
                try:
                    yield temporary
                except Exception:  # of a library that may not tell why
                    os.fsync(handle.fileno())
                    raise
                os.fsync(handle.fileno())
                if not os.path.samestat(os.fstat(handle.fileno()), os.stat(temporary)):
                    raise RuntimeError(f"{final}: was replaced while it was written; write it in place")
                if not os.fstat(handle.fileno()).st_mtime:
                    raise FileNotFoundError(errno.ENOENT, "nobody has written it", str(final))
                os.replace(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically, with Unix line ends."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "surrogatepass"))


def json_bytes(value: Any) -> bytes:
    """A value as JSON: sorted keys, two spaces, a final newline."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "surrogatepass")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON atomically, for what a manifest lists or other programs read; else `write_record`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(json_bytes(value))


def read_json(path: Path | str) -> Any:
    """Read JSON (`parse_json`). Raises UserError that names the file if it is missing or damaged."""
    try:
        return parse_json(Path(path).read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text, read more strictly than Python does: no NaN, and no key twice.

    Raises ValueError, or RecursionError for deep nesting.
    """
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return found


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


_HASHED: dict[tuple, str] = {}
_SETTLED = 2.0  # seconds after which a change of a file cannot go unnoticed by its time


def sha256_once(path: Path | str) -> str:
    """The SHA-256 of a file, from memory if this process has hashed it and it has not been changed since."""
    found = os.stat(path)
    key = (os.path.abspath(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if key in _HASHED:
        return _HASHED[key]
    digest = sha256(path)
    if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED:
        _HASHED[key] = digest
    return digest


def files_of(path: Path | str, suffix: str = ".parquet") -> list[str]:
    """The files that a path means, in order: those of a folder with the suffix, those that fit its pattern, or itself.

    A pattern has *, ? or [ in it, and no file of that very name is there. What does not exist is left out.
    """
    if os.path.isdir(path):
        return sorted(str(file) for file in Path(path).glob(f"*{suffix}"))
    if os.path.exists(path):
        return [str(path)]
    return sorted(filter(os.path.isfile, glob.glob(str(path)))) if glob.has_magic(str(path)) else []
