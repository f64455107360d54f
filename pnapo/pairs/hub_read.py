"""A pair set from the layout of `pnapo.pairs.hub`: what was exported comes back bit for bit, a few rows at a time."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyarrow.compute import struct_field

from pnapo.artifacts import prompt_id, prompt_of, read_table, verify_manifest, write_table
from pnapo.artifacts.files import parse_json
from pnapo.artifacts.images import png_writer
from pnapo.errors import UserError
from pnapo.pairs.hub import KIND, LABEL_COLUMNS
from pnapo.pairs.images import tensors_of
from pnapo.pairs.labels import require_labels
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

    A shard for each data file. Raises UserError if a file is damaged, lacks a column, was made with other settings than the
    first, or holds labels, prompts or noises that do not fit its other columns. Whether a noise is what its key says, and a
    picture one, is left to `pnapo verify`.
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
    rewards = _rewards(table)
    strange = [name for name in rewards if not re.fullmatch(r"\w[\w.-]*", name)]  # they become names of files
    if strange:
        raise UserError(f"{folder}: {strange[0]!r} is no name of a reward")
    settings, ids = made_with["pairs"], list(table["prompt_id"])
    _require_prompts(table, folder)
    scores = (f"{name}_{k}" for name in rewards for k in range(settings["samples"]))
    missing = next((column for column in scores if column not in table), None)  # of which a file may ask for billions
    if missing:
        raise UserError(f"{files[0]}: no column {missing!r} of its labels; export the pair set again")
    labels = {name: _labels(table, name, settings["samples"], folder) for name in rewards}
    (noise,) = {_holds_noise(file, settings) for file in files}
    shape, seed = (settings["samples"], *settings["latent_shape"]), settings.get("seed")
    shards, first = [], 0
    for number, file in enumerate(files):
        rows = range(first, first + len(tables[number]))
        first = rows.stop
        shards.append(out / SAMPLES / f"{shard_name(number, len(files))}.json")
        part = part_of(ids, rows)
        owned = ids[rows.start : rows.stop]
        with shard_writer(shards[-1], owned, shape, settings, noise=noise, seed=seed, part=part) as put:
            for start, shard in _shards(file, shape, noise):
                put(start, shard)
        _write_images(file, out / images_name(number, len(files)) / "manifest.json", shards[-1], made_with)
        log(f"imported {first}/{len(ids)} prompts")
    for name, found in labels.items():
        write_table(out / LABELS / f"{name}.parquet", found)
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
        for _, shard in _shards(file, shape, _holds_noise(file, settings)):
            problems += problems_of(shard, settings, file)
    return problems


def _read(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a data file, `TEXTS` among them. Raises UserError if it has no rows, or one without a text there."""
    _names(file)
    table = read_table(file, list(columns))
    if table.empty:
        raise UserError(f"{file}: holds no rows; delete it, or export the pair set again")
    for column in TEXTS:
        if not all(isinstance(value, str) for value in table[column]):
            raise UserError(f"{file}: a row has no text in column {column!r}; export the pair set again")
    return table


def _names(file: Path) -> list[str]:
    """The names of a data file's columns. Raises UserError if it is none, or has two columns of a name."""
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException) as error:
        raise_refused(error, file)
        raise UserError(f"{file}: not a readable parquet file ({_first_line(error)})") from None
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file}: has two columns {twice!r}; export the pair set again")
    return names


def _holds_noise(file: Path, settings: dict[str, Any]) -> bool:
    """Whether pairs that were made so have noises. Raises UserError unless the data file has them just then."""
    noise = "dataset" not in settings or "inversion" in settings
    if noise != ("noise_0" in _names(file)):
        what = "lacks the noises that" if noise else "holds noises, but no such pairs are what"
        raise UserError(f"{file}: {what} its column 'made_with' tells of; export the pair set again")
    return noise


def _small(file: Path) -> list[str]:
    """All columns but images and tensors."""
    large = ("image_", "noise_", "latent_")
    return [name for name in _names(file) if not (name.startswith(large) and name.rpartition("_")[2].isdecimal())]


def _rewards(table: pd.DataFrame) -> list[str]:
    """The names of the labels, in their order."""
    ends = [name.removesuffix("_winner") for name in table.columns if name.endswith("_winner")]
    return [name for name in ends if {f"{name}_{column}" for column in ("0", *LABEL_COLUMNS)} <= set(table.columns)]


def _labels(table: pd.DataFrame, name: str, samples: int, folder: Path | str) -> pd.DataFrame:
    """The label table of a reward. Raises UserError if a row is no label, or not the one that its scores say."""
    given = [table[f"{name}_{k}"] for k in range(samples)]
    scores = np.full((len(table), samples), np.nan)
    if all(value.dtype.kind in "iuf" for value in given):
        one = all(value.dtype == np.float32 for value in given)
        scores = np.stack(given, 1).astype(np.float32 if one else np.float64)  # as they are, or of one type
    found = pd.DataFrame({"prompt_id": table["prompt_id"]} | {f"score_{k}": scores[:, k] for k in range(samples)})
    found = found.assign(**{column: table[f"{name}_{column}"] for column in LABEL_COLUMNS})
    require_labels(f"{folder}: labels {name}", found, samples, "export the pair set again")
    rows = range(len(found))
    better = scores[rows, found["winner"]] > scores[rows, found["loser"]]
    good = np.isfinite(scores).all(1) & (better | found["tie"])
    if not good.all():
        raise UserError(
            f"{folder}: labels {name}: the scores of row {int(np.flatnonzero(~good)[0])} are not finite numbers by which its "
            "winner is the better one; export the pair set again"
        )
    return found


def _require_prompts(table: pd.DataFrame, folder: Path | str) -> None:
    """Raise UserError unless each id is that of its row's prompt."""
    for pair, text in zip(table["prompt_id"], table["prompt"]):
        if prompt_id(text) != prompt_of(pair):
            raise UserError(f"{folder}: {pair!r} is not the id of its prompt {text[:60]!a}; export the pair set again")


def _settings(text: str, origin: Path | str) -> dict[str, Any]:
    try:
        found = parse_json(text)
        # It will be written again: no number that is none (1e999), no half character.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        asked_by(found["pairs"])
        pairs, shape = found["pairs"], found["pairs"]["latent_shape"]
        counts = [found[IMAGES]["batch"], pairs["samples"], *shape]
        texts = [pairs["family"], pairs["model"]]
        known = all(isinstance(text, str) for text in texts) and isinstance(shape, list) and len(shape) == 3
        if known and all(type(count) is int and count > 0 for count in counts):
            return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{origin}: its column 'made_with' does not say how the pairs were made; export them again")


def _batches(file: Path, columns: Iterable[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Row groups with the number of their first row, a few rows at a time."""
    start = 0
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        names, wanted = set(parquet.schema_arrow.names), []
        for column in columns:  # one by one: a file may ask for billions
            if column not in names:
                raise UserError(f"{file}: no column {column!r}; export the pair set again")
            wanted.append(column)
        for group in range(parquet.num_row_groups):
            batch = parquet.read_row_group(group, columns=wanted).combine_chunks()
            yield start, batch
            start += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise_refused(error, file)
        raise UserError(f"{file}: not a readable parquet file, damaged or truncated ({_first_line(error)})") from None


def _shards(file: Path, shape: Sequence[int], noise: bool) -> Iterator[tuple[int, Shard]]:
    """Prompts with their noises and latents, row group by row group, with the number of the first."""
    samples = range(shape[0])
    sides = ["noise", "latent"] if noise else ["latent"]
    for start, table in _batches(file, chain(["prompt_id"], (f"{side}_{k}" for side in sides for k in samples))):
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
        for _, table in _batches(file, chain(["prompt_id"], (f"image_{k}" for k in range(samples)))):
            sides = [_pngs(table[f"image_{k}"], f"{file}: image_{k}") for k in range(samples)]
            for row, name in enumerate(table["prompt_id"].to_pylist()):
                waiting += [(name, k, sides[k][row]) for k in range(samples)]
            while len(waiting) >= batch:
                add(*map(list, zip(*waiting[:batch])))
                del waiting[:batch]
        if waiting:
            add(*map(list, zip(*waiting)))


def _pngs(column: pa.ChunkedArray, what: str) -> list[bytes]:
    """Of images {bytes, path} the bytes; the paths, which may be no texts, are not looked at."""
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        found = struct_field(column, "bytes")
        if (pa.types.is_binary(found.type) or pa.types.is_large_binary(found.type)) and not found.null_count:
            return found.to_pylist()
    raise UserError(f"{what}: holds no bytes of an image, or lacks one; export the pair set again")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
