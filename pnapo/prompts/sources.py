"""Prompt lists from files: parquet (DiffusionDB's metadata among them), CSV, TSV, JSON, JSON lines and plain text.

Every reader gives a list in parts, so that a table of any length passes through little memory. Long lists are written on
with `pnapo.prompts.distinct`, short ones are loaded here.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pnapo.artifacts import files_of, prompt_id, require_seal
from pnapo.errors import UserError
from pnapo.refusals import raise_refused
from pnapo.text import from_cell

ROWS = 1 << 17  # of a parquet file, read at once
SCORED = [
    "image",
    "prompt",
]  # CSV tables that begin so are written by this program: spreadsheets run none of their cells


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    require_seal(path)
    try:
        # Without these, a column of a row group (which may be the whole file) would lie in memory.
        streamed = {"pre_buffer": False, "buffer_size": 1 << 20}
        file = pq.ParquetFile(path, page_checksum_verification=True, **streamed)
        names = file.schema_arrow.names
        missing = [column for column in columns if column not in names]
        if missing:
            raise UserError(f"{path}: no column {missing[0]!r}; it has {', '.join(map(repr, names))}")
        for batch in file.iter_batches(ROWS, columns=list(dict.fromkeys(columns)), use_threads=False):
            part = pa.Table.from_batches([batch])
            yield part.set_column(part.schema.get_field_index(columns[0]), columns[0], _texts(part[columns[0]]))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise_refused(error, path)
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a readable parquet file, damaged or truncated ({reason})") from None


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """A column as texts, none where it holds anything else. Raises pa.ArrowException for bytes that are not UTF-8."""
    column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return pa.nulls(len(column), pa.large_string())
    column.validate(full=True)
    return column.cast(pa.large_string())


def _table(path: Path, columns: Sequence[str], values: Iterable[Sequence[Any]]) -> Iterator[pa.Table]:
    """A list that was read as Python's values, row by row, as one part."""
    lists = list(zip(*values)) or [()] * len(columns)
    texts = [value if isinstance(value, str) else None for value in lists[0]]
    broken = next((text for text in texts if text is not None and not _encodable(text)), None)
    if broken is not None:  # as JSON can write, where an emoji was cut in two
        raise UserError(f"{path}: prompt {broken[:60]!a} holds half a character (a surrogate); remove it")
    beside = [pa.array([None if v is None else str(v) for v in found], pa.large_string()) for found in lists[1:]]
    yield pa.table(dict(zip(columns, [pa.array(texts, pa.large_string()), *beside])))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _separated(path: Path, columns: Sequence[str], **form: Any) -> Iterator[pa.Table]:
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8-sig", newline="") as handle:
        rows = csv.DictReader(handle, strict=True, **form)  # strict: a file cut within a quoted prompt is an error
        try:
            names = rows.fieldnames or []
            missing = [column for column in columns if column not in names]
            if missing:
                raise UserError(f"{path}: no column {missing[0]!r}; it has {', '.join(map(repr, names)) or 'none'}")
            ours = names[: len(SCORED)] == SCORED and not form
            values = [[_written(row[column]) if ours else row[column] for column in columns] for row in rows]
        except csv.Error as error:
            raise UserError(f"{path}: line {rows.reader.line_num} is not valid CSV ({error})") from None
    return _table(path, columns, values)


def _written(cell: str | None) -> str | None:
    return cell if cell is None else from_cell(cell)


def _tsv(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    # Quotes are part of a text, even where it begins with one (PartiPrompts), and no text goes over a line's end.
    return _separated(path, columns, delimiter="\t", quoting=csv.QUOTE_NONE)


def _jsonl(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    found = []
    with open(path, encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                found.append(_entry(_parsed(line, f"{path}: line {number}"), columns, f"{path}: line {number}"))
    return _table(path, columns, found)


def _json(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    entries = _parsed(path.read_text(encoding="utf-8-sig"), str(path))
    if not isinstance(entries, list):
        raise UserError(f"{path}: must hold a list, of texts or of objects with a key {columns[0]!r}")
    found = [_entry(value, columns, f"{path}: entry {number}") for number, value in enumerate(entries, start=1)]
    return _table(path, columns, found)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not valid JSON ({getattr(error, 'msg', error)})") from None


def _entry(value: Any, columns: Sequence[str], where: str) -> list:
    """The columns of a list's entry: an object with such keys, or a bare text if nothing but prompts is asked for."""
    if not isinstance(value, dict):
        if len(columns) > 1:
            raise UserError(f"{where} is no object with a key {columns[1]!r}")
        return [value]
    missing = [column for column in columns if column not in value]
    if missing:
        raise UserError(f"{where} has no key {missing[0]!r}; it has {', '.join(map(repr, value))}")
    return [value[column] for column in columns]


def _text(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    if len(columns) > 1:
        raise UserError(f"{path}: a plain text holds prompts alone, no column {columns[1]!r}")
    # Only line feeds end a prompt; form feeds and the like belong to it.
    lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    return _table(path, columns, ([line] for line in lines))


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[pa.Table]]] = {
    ".parquet": _parquet,
    ".csv": _separated,
    ".tsv": _tsv,
    ".json": _json,
    ".jsonl": _jsonl,
    ".txt": _text,
}


def read_parts(path: Path | str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of a prompt list, part by part: the columns asked for, the first of which holds the prompts.

    `path` is a file, a folder of parquet files, or a pattern. Prompts are large_string, null where there is no text. Raises
    UserError if nothing is there, or if a file is damaged, of an unknown kind, or lacks a column.
    """
    found = files_of(path)
    if not found:
        kind = "is a folder without .parquet files" if Path(path).is_dir() else "no such file"
        raise UserError(f"{path}: {kind}")
    for file in map(Path, found):
        reader = READERS.get(file.suffix.lower())
        if reader is None:
            raise UserError(f"{file}: unknown kind of prompt list; use one of {', '.join(READERS)}")
        try:
            yield from reader(file, columns)
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: not UTF-8 text (byte {error.start})") from None


def columns_of(path: Path | str) -> list[str]:
    """The names of a file's columns (of JSON: the keys of the first entry).

    None of other kinds, nor of a file that is missing or damaged: `read_column` says so.
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".parquet":
            return pq.read_schema(path).names
        if suffix == ".json":
            entries = json.loads(Path(path).read_text("utf-8-sig"))
            return list(dict(entries[0]))
        if suffix not in (".csv", ".tsv", ".jsonl"):
            return []
        with open(path, encoding="utf-8-sig", newline="") as handle:
            if suffix == ".jsonl":
                return list(dict(json.loads(next(line for line in handle if line.strip()))))
            return next(csv.reader(handle, delimiter="\t" if suffix == ".tsv" else ","), [])
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        StopIteration,
        RecursionError,
        csv.Error,
        pa.ArrowException,
    ) as error:
        raise_refused(error, path)
        return []


def read_column(path: Path | str, column: str = "prompt") -> list[str | None]:
    """A column of a list as it stands, row by row, None where there is no text. Raises UserError as `read_parts` does."""
    return [text for part in read_parts(path, [column]) for text in part[column].to_pylist()]


def load_prompts(path: Path | str, column: str = "prompt", beside: Sequence[str] = ()) -> pd.DataFrame:
    """The distinct prompts of a list in their order: columns prompt_id, prompt, texts verbatim, and those of `beside`.

    Empty and missing ones are left out; of exact repeats the first stays. Raises UserError as `read_parts` does, if the list
    is empty, or if a prompt cannot be written as UTF-8.
    """
    kept: dict[str, tuple] = {}
    rows = 0
    for part in read_parts(path, [column, *beside]):
        rows += len(part)
        for text, *others in zip(*(part[name].to_pylist() for name in (column, *beside))):
            if text is not None and text.strip():
                kept.setdefault(text, tuple(others))
    if not kept:
        raise UserError(f"{path}: holds no prompts ({rows} rows, none with a text)")
    table = pd.DataFrame({"prompt_id": [prompt_id(text) for text in kept], "prompt": list(kept)})
    return table.assign(**{name: [others[index] for others in kept.values()] for index, name in enumerate(beside)})


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
