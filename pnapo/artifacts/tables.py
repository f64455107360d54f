"""Tables on disk: parquet for data, CSV for results."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pnapo.artifacts.files import write_text
from pnapo.artifacts.seal import KEY, blank, require_seal, sealed_path
from pnapo.errors import UserError
from pnapo.refusals import raise_refused
from pnapo.text import as_cell

FORM = {"compression": "zstd", "write_page_checksum": True}


@contextmanager
def table_writer(path: Path | str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a sealed parquet file part by part, atomically."""
    with sealed_path(path) as temporary, pq.ParquetWriter(temporary, schema, **FORM) as writer:
        yield writer
        writer.add_key_value_metadata({KEY: blank(path)})


def write_table(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a sealed parquet file atomically; the same frame in the same place gives the same bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with table_writer(path, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path | str, columns: Sequence[str] | None = None, *, listed: bool = False) -> pd.DataFrame:
    """Read a parquet file, only `columns` if given; `listed`: a manifest that was checked vouches for it, and no seal does.

    Raises UserError if the file is missing, damaged or in another's place, or lacks one of the columns.
    """
    if not listed:
        require_seal(path)
    try:
        names = pq.read_schema(path).names
        missing = [c for c in columns or () if c not in names]
        if missing:
            raise UserError(f"{path}: no column {missing[0]!r}; it has {', '.join(map(repr, names))}")
        table = pq.ParquetFile(path, page_checksum_verification=True).read(columns)
        table.validate(full=True)  # texts that are none
        return table.replace_schema_metadata(None).to_pandas()  # what others note there for pandas is not obeyed
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise_refused(error, path)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable parquet file, damaged or truncated ({reason})") from None


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a CSV file atomically, as `as_csv` has it."""
    write_text(path, as_csv(frame))


def as_csv(frame: pd.DataFrame) -> str:
    """A table as CSV: full precision, empty cells for missing values, no text that a spreadsheet would run (`as_cell`)."""
    texts = {name: [as_cell(v) if isinstance(v, str) else v for v in frame[name]] for name in _text_columns(frame)}
    named = frame.assign(**texts).rename(columns=lambda name: as_cell(str(name)))
    lines = _UnixLines()
    named.to_csv(lines, index=False, lineterminator="\r\n")
    return lines.getvalue()


class _UnixLines(io.StringIO):
    """Takes rows that end as DOS's, so that the writer quotes a cell with either character, and ends them with \\n."""

    def write(self, row: str) -> int:
        return super().write(row.removesuffix("\r\n") + "\n")


def _text_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name, dtype in zip(frame.columns, frame.dtypes) if dtype.kind == "O"]
