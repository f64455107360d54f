"""A pair set from the layout of `pnapo.pairs.hub`: what was exported comes back bit for bit, a few rows at a time."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pnapo.artifacts import prompt_of, read_table, verify_manifest, write_table
from pnapo.artifacts.images import png_writer
from pnapo.errors import UserError
from pnapo.pairs.hub import KIND, LABEL_COLUMNS
from pnapo.pairs.images import tensors_of
from pnapo.pairs.layout import IMAGES, LABELS, PROMPTS, SAMPLES, images_name, shard_name
from pnapo.pairs.shards import Shard, asked_by, part_of, shard_writer
from pnapo.pairs.store import collect
from pnapo.pairs.verify import problems_of
from pnapo.refusals import raise_refused

TEXTS = ("prompt_id", "prompt", "made_with")  # columns that have a text in each row


def data_files(folder: Path | str) -> list[Path]:
    """The data files of an exported pair set, in order; none if the folder holds none."""
    return sorted(Path(folder).glob("data/[!.]*.parquet"))


def import_pairs(folder: Path | str, out: Path, log: Callable[[str], None] = print) -> Path:
    """Make a pair set of an export: samples, images, labels and prompts in the folder `out`; returns its manifest.

    A shard for each data file. Raises UserError if a file is damaged, lacks a column, or was made with other settings than
    the first.
    """
    files = data_files(folder)
    if (out / "manifest.json").exists():
        raise UserError(f"{out}: holds {out / 'manifest.json'} already; name an empty folder")
    if not files:
        raise UserError(f"{folder}: holds no exported pair set (no data/*.parquet)")
    needed = dict.fromkeys([*TEXTS, *_small(files[0])])
    tables = [_read(file, list(needed)) for file in files]
    table = pd.concat(tables, ignore_index=True)
    if table["made_with"].nunique() != 1:
        raise UserError(f"{folder}: its rows were made with different settings; import each by itself")
    made_with = _settings(table["made_with"][0], folder)
    strange = [name for name in _rewards(table) if not re.fullmatch(r"\w[\w.-]*", name)]  # they become names of files
    if strange:
        raise UserError(f"{folder}: {strange[0]!r} is no name of a reward")
    settings, ids = made_with["pairs"], list(table["prompt_id"])
    scores = [f"{name}_{k}" for name in _rewards(table) for k in range(settings["samples"])]
    missing = [column for column in scores if column not in table]
    if missing:
        raise UserError(f"{files[0]}: no column {missing[0]!r} of its labels; export the pair set again")
    shape, seed = (settings["samples"], *settings["latent_shape"]), settings.get("seed")
    shards, first = [], 0
    for number, file in enumerate(files):
        rows = range(first, first + len(tables[number]))
        first = rows.stop
        shards.append(out / SAMPLES / f"{shard_name(number, len(files))}.json")
        noise = "noise_0" in _names(file)
        part = part_of(ids, rows)
        owned = ids[rows.start : rows.stop]
        with shard_writer(shards[-1], owned, shape, settings, noise=noise, seed=seed, part=part) as put:
            for start, shard in _shards(file, shape, noise):
                put(start, shard)
        _write_images(file, out / images_name(number, len(files)) / "manifest.json", shards[-1], made_with)
        log(f"imported {first}/{len(ids)} prompts")
    for name in _rewards(table):
        scores = {f"score_{k}": table[f"{name}_{k}"] for k in range(settings["samples"])}
        others = {column: table[f"{name}_{column}"] for column in LABEL_COLUMNS}
        write_table(out / LABELS / f"{name}.parquet", pd.DataFrame({"prompt_id": ids, **scores, **others}))
    prompts = table[["prompt_id", "prompt"]].assign(prompt_id=table["prompt_id"].map(prompt_of))
    write_table(out / PROMPTS, prompts.drop_duplicates("prompt_id", ignore_index=True))
    collect(shards, asked_by(settings), out / "manifest.json")
    return out / "manifest.json"


def verify_export(path: Path) -> list[str]:
    """What is wrong with an export, given its manifest: hashes, noises that are not what their keys say, latents."""
    problems = verify_manifest(path, KIND)
    for file in data_files(path.parent):
        if any(line.startswith(f"{file}: ") for line in problems):
            continue
        made_with = _settings(_read(file, TEXTS)["made_with"][0], file)
        settings = made_with["pairs"]
        shape = (settings["samples"], *settings["latent_shape"])
        for _, shard in _shards(file, shape, "noise_0" in _names(file)):
            problems += problems_of(shard, settings, file)
    return problems


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a data file, `TEXTS` among them. Raises UserError if it has no rows, or one without a text there."""
    table = read_table(file, list(columns))
    if table.empty:
        raise UserError(f"{file}: holds no rows; delete it, or export the pair set again")
    for column in TEXTS:
        if not all(isinstance(value, str) for value in table[column]):
            raise UserError(f"{file}: a row has no text in column {column!r}; export the pair set again")
    return table


def _names(file: Path) -> list[str]:
    try:
        return pq.read_schema(file).names
    except (OSError, pa.ArrowException) as error:
        raise_refused(error, file)
        raise UserError(f"{file}: not a readable parquet file ({str(error).splitlines()[0]})") from None


def _small(file: Path) -> list[str]:
    """All columns but images and tensors."""
    large = ("image_", "noise_", "latent_")
    return [name for name in _names(file) if not (name.startswith(large) and name.rpartition("_")[2].isdecimal())]


def _rewards(table: pd.DataFrame) -> list[str]:
    """The names of the labels, in their order."""
    ends = [name.removesuffix("_winner") for name in table.columns if name.endswith("_winner")]
    return [name for name in ends if {f"{name}_{column}" for column in ("0", *LABEL_COLUMNS)} <= set(table.columns)]


def _settings(text: str, origin: Path | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        asked_by(found["pairs"])
        pairs, shape = found["pairs"], found["pairs"]["latent_shape"]
        counts = [found[IMAGES]["batch"], pairs["samples"], *shape]
        known = isinstance(pairs["family"], str) and isinstance(shape, list) and len(shape) == 3
        if known and all(type(count) is int and count > 0 for count in counts):
            return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{origin}: its column 'made_with' does not say how the pairs were made; export them again")


def _batches(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Row groups with the number of their first row, a few rows at a time."""
    start = 0
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        missing = [column for column in columns if column not in parquet.schema_arrow.names]
        if missing:
            raise UserError(f"{file}: no column {missing[0]!r}; export the pair set again")
        for group in range(parquet.num_row_groups):
            batch = parquet.read_row_group(group, columns=list(columns)).combine_chunks()
            yield start, batch
            start += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise_refused(error, file)
        raise UserError(f"{file}: not a readable parquet file, damaged or truncated ({_first_line(error)})") from None


def _shards(file: Path, shape: Sequence[int], noise: bool) -> Iterator[tuple[int, Shard]]:
    """Prompts with their noises and latents, row group by row group, with the number of the first."""
    samples = range(shape[0])
    sides = ["noise", "latent"] if noise else ["latent"]
    for start, table in _batches(file, ["prompt_id", *(f"{side}_{k}" for side in sides for k in samples)]):
        ids, found = table["prompt_id"].to_pylist(), {}
        for side in sides:
            parts = [_tensor(table[f"{side}_{k}"], shape[1:], f"{file}: {side}_{k}") for k in samples]
            found[side] = torch.stack(parts, 1)
        yield start, Shard(ids, **found) if noise else Shard.without_noise(ids, found["latent"])


def _tensor(column: pa.ChunkedArray, shape: Sequence[int], what: str) -> torch.Tensor:
    """Lists of lists of lists as a float32 tensor [n, *shape]."""
    values = column.combine_chunks()
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    for size in shape:
        if not hasattr(values, "value_lengths"):
            raise UserError(f"{what}: not arrays of shape {list(shape)}")
        lengths = values.value_lengths()
        if values.null_count or (lengths.unique().to_pylist() or [size]) != [size]:
            raise UserError(f"{what}: not arrays of shape {list(shape)}")
        values = values.flatten()
    if values.type != pa.float32() or values.null_count:
        raise UserError(f"{what}: holds {values.type} instead of float32 numbers, or lacks some")
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).copy()).view(-1, *shape)


def _write_images(file: Path, out: Path, shard: Path, made_with: dict[str, Any]) -> None:
    """The images of a data file, as many at once as when they were decoded, so that the same file comes out."""
    samples, batch = made_with["pairs"]["samples"], made_with[IMAGES]["batch"]
    with png_writer(out, {**made_with[IMAGES], "shard": tensors_of(shard)}) as add:
        waiting: list[tuple[str, int, bytes]] = []
        for _, table in _batches(file, ["prompt_id", *(f"image_{k}" for k in range(samples))]):
            sides = [table[f"image_{k}"].to_pylist() for k in range(samples)]
            for row, name in enumerate(table["prompt_id"].to_pylist()):
                waiting += [(name, k, _bytes(sides[k][row], f"{file}: image_{k} of {name}")) for k in range(samples)]
            while len(waiting) >= batch:
                add(*map(list, zip(*waiting[:batch])))
                del waiting[:batch]
        if waiting:
            add(*map(list, zip(*waiting)))


def _bytes(value: Any, what: str) -> bytes:
    if not isinstance(value, dict) or not isinstance(value.get("bytes"), bytes):
        raise UserError(f"{what}: holds no bytes of an image")
    return value["bytes"]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
