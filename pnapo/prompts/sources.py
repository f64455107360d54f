"""Prompt lists from files: parquet (DiffusionDB's metadata among them), CSV, JSON lines and plain text."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pnapo.artifacts import prompt_id, read_table
from pnapo.errors import UserError


def _parquet(path: Path, column: str) -> list:
    return list(read_table(path, [column])[column])


def _csv(path: Path, column: str) -> list:
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8-sig", newline="") as handle:
        rows = csv.DictReader(handle, strict=True)  # strict: a file cut within a quoted prompt is an error
        try:
            names = rows.fieldnames or []
            if column not in names:
                raise UserError(f"{path}: no column {column!r}; it has {', '.join(map(repr, names)) or 'none'}")
            return [row[column] for row in rows]
        except csv.Error as error:
            raise UserError(f"{path}: line {rows.reader.line_num} is not valid CSV ({error})") from None


def _jsonl(path: Path, column: str) -> list:
    found = []
    with open(path, encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", error)
                raise UserError(f"{path}: line {number} is not valid JSON ({reason})") from None
            if isinstance(value, dict):
                if column not in value:
                    raise UserError(
                        f"{path}: line {number} has no key {column!r}; it has {', '.join(map(repr, value))}"
                    )
                value = value[column]
            found.append(value)
    return found


def _text(path: Path, column: str) -> list:
    # Only line feeds end a prompt; form feeds and the like belong to it.
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")


READERS: dict[str, Callable[[Path, str], list]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".txt": _text,
}


def columns_of(path: Path | str) -> list[str]:
    """The names of a file's columns (of JSON lines: the keys of the first line).

    None of plain text, nor of a file that is missing or damaged: `read_column` says so.
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".parquet":
            return pq.read_schema(path).names
        if suffix not in (".csv", ".jsonl"):
            return []
        with open(path, encoding="utf-8-sig", newline="") as handle:
            return next(csv.reader(handle), []) if suffix == ".csv" else list(dict(json.loads(handle.readline())))
    except (OSError, ValueError, TypeError, csv.Error, pa.ArrowException):
        return []


def read_column(path: Path | str, column: str = "prompt") -> list:
    """A column of a file as it stands, row by row; of plain text, the lines.

    Raises UserError if the file is missing, damaged, of an unknown kind, or lacks the column.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: unknown kind of prompt list; use one of {', '.join(READERS)}")
    try:
        return reader(path, column)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a prompt list") from None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def load_prompts(path: Path | str, column: str = "prompt") -> pd.DataFrame:
    """The distinct prompts of a file in their order: columns prompt_id and prompt, texts verbatim.

    Empty and missing ones are left out; of exact repeats the first stays. Raises UserError if the file is missing, damaged,
    empty, of an unknown kind, or lacks the column, or if a prompt cannot be written as UTF-8.
    """
    values = read_column(path, column)
    texts = dict.fromkeys(v for v in values if isinstance(v, str) and v.strip())
    if not texts:
        raise UserError(f"{path}: holds no prompts ({len(values)} rows, none with a text)")
    broken = next((text for text in texts if not _encodable(text)), None)
    if broken is not None:  # as JSON can write, where an emoji was cut in two
        raise UserError(f"{path}: prompt {broken[:60]!a} holds half a character (a surrogate); remove it")
    return pd.DataFrame({"prompt_id": [prompt_id(text) for text in texts], "prompt": list(texts)})


def gather_prompts(given: Sequence[str]) -> pd.DataFrame:
    """The distinct prompts of files and of texts that stand for themselves, in their order: as `load_prompts`.

    What ends as a prompt list does is a file. Raises UserError as `load_prompts`, or for a text without a word.
    """
    parts = []
    for text in given:
        if Path(text).suffix.lower() in READERS:
            parts.append(load_prompts(text))
        elif text.strip() and _encodable(text):
            parts.append(pd.DataFrame({"prompt_id": [prompt_id(text)], "prompt": [text]}))
        else:
            raise UserError(f"{text!a}: not a prompt; give a text, or a list ({', '.join(READERS)})")
    return pd.concat(parts).drop_duplicates("prompt_id", ignore_index=True)
