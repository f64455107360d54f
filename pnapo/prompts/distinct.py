"""Each distinct prompt of a long list once, however long the list: DiffusionDB has 14 million rows of 1.8 million prompts.

Prompts are told apart by their ids, 64 bits of a hash, which are kept as sorted numbers: memory holds 20 bytes for each
distinct prompt and one part of the list, and the texts pass through to the disk.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnapo.artifacts import table_writer
from pnapo.artifacts.tables import FORM
from pnapo.errors import UserError
from pnapo.prompts.sources import ROWS, read_parts

REPORT_EVERY = 16  # parts between two lines of progress


class Seen:
    """The prompts seen so far, in the order of their first appearance: how often, and their largest score."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.uint64)  # ascending
        self._places = np.empty(0, np.uint32)  # of these keys in the order of appearance
        self.rows = np.empty(0, np.uint32)
        self.scores = np.empty(0, np.float32)  # NaN if none of a prompt's rows has one

    def add(self, keys: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Enter distinct prompts, uint64 [n], with the number of their rows and their scores; which are new, bool [n]."""
        where = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), bool)
        inside = where < len(self._keys)
        known[inside] = self._keys[where[inside]] == keys[inside]
        places = self._places[where[known]]
        self.rows[places] += rows[known]
        self.scores[places] = np.fmax(self.scores[places], scores[known])  # fmax passes over NaN
        new = ~known
        order = np.argsort(keys[new], kind="stable")
        numbers = len(self.rows) + np.arange(new.sum(), dtype=np.uint32)
        self._keys = np.insert(self._keys, where[new][order], keys[new][order])
        self._places = np.insert(self._places, where[new][order], numbers[order])
        self.rows = np.concatenate([self.rows, rows[new]])
        self.scores = np.concatenate([self.scores, scores[new]])
        return new


def _reduced(part: pa.Table, column: str, score: str | None) -> tuple[pa.Array, np.ndarray, np.ndarray, np.ndarray]:
    """The distinct prompts of a part, in order: texts, and for each its key, number of rows and largest score."""
    texts = part[column].combine_chunks()
    filled = pc.fill_null(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0), False)
    encoded = texts.filter(filled).dictionary_encode()
    texts, codes = encoded.dictionary, encoded.indices.to_numpy()
    digests = (hashlib.sha256(text).digest()[:8] for text in texts.cast(pa.large_binary()).to_pylist())
    keys = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
    scores = np.full(len(keys), np.nan, np.float32)
    if score:
        given = pd.to_numeric(part[score].filter(filled).to_pandas(), errors="coerce").to_numpy(np.float32)
        np.fmax.at(scores, codes, given)
    return texts, keys, np.bincount(codes, minlength=len(keys)).astype(np.uint32), scores


def write_distinct(
    path: Path | str,
    out: Path | str,
    column: str = "prompt",
    score: str | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Write the table of the distinct prompts of a list (`read_parts`) in the order of their first appearance.

    Columns prompt_id, prompt, rows (how often it stands in the list) and, if `score` names a column, score (the largest of
    the prompt's rows, NaN if none has one). Texts are verbatim; empty ones are left out. Raises UserError as `read_parts`
    does, and if the list holds no prompts.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    seen, total = Seen(), 0
    kept = pa.schema([("prompt_id", pa.string()), ("prompt", pa.string())])
    with TemporaryDirectory(prefix=".distinct.", dir=out.parent) as folder:
        with pq.ParquetWriter(f"{folder}/texts.parquet", kept, **FORM) as writer:
            for number, part in enumerate(read_parts(path, [column, *([score] if score else [])])):
                total += len(part)
                texts, keys, rows, scores = _reduced(part, column, score)
                new = seen.add(keys, rows, scores)
                ids = pa.array([f"{key:016x}" for key in keys[new]], pa.string())
                writer.write_table(pa.table([ids, texts.filter(pa.array(new)).cast(pa.string())], schema=kept))
                if number % REPORT_EVERY == REPORT_EVERY - 1:
                    log(f"prompts: {total} rows read, {len(seen.rows)} distinct prompts")
        if not len(seen.rows):
            raise UserError(f"{path}: holds no prompts ({total} rows, none with a text)")
        beside = {"rows": pa.array(seen.rows)} | ({"score": pa.array(seen.scores, from_pandas=False)} if score else {})
        final = pa.schema([*kept, *((name, values.type) for name, values in beside.items())])
        with table_writer(out, final) as writer:
            first = 0
            texts = pq.ParquetFile(f"{folder}/texts.parquet", pre_buffer=False)
            for batch in texts.iter_batches(ROWS, use_threads=False):
                others = [values[first : first + len(batch)] for values in beside.values()]
                writer.write_table(pa.table([*batch.columns, *others], schema=final))
                first += len(batch)
    unscored = int(np.isnan(seen.scores).sum()) if score else 0
    told = f", {unscored} of them without a {score}" if unscored else ""
    log(f"prompts: {total} rows, {int(seen.rows.sum())} with a text, {len(seen.rows)} distinct{told}")
