"""A pair set in the layout of the model hub's data sets, for others to take: parquet files with images, noise and labels.

    FOLDER/README.md  manifest.json  data/train-00000-of-00002.parquet …

A row is a prompt with all its samples. A row says all by itself, so that files may be cut and joined by others:

    prompt_id, prompt   of pairs from elsewhere, prompt_id is the pair's
    image_K             PNG of sample K, {bytes, path}
    noise_K, latent_K   float32 [C, h, w], bit for bit; images from elsewhere have no noise
    seed                with prompt_id and K the key of noise_K, where it was drawn and not computed
    NAME_K              score of sample K by the reward NAME, in its raw units (of a preference: its win rate)
    NAME_winner, NAME_loser, NAME_gap, NAME_tie
    made_with           how the samples were made, as JSON

Images and arrays are typed as the datasets library writes them; without it they are plain parquet.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pnapo.artifacts import (
    atomic_path,
    prompt_of,
    read_manifest,
    read_table,
    require_intact,
    write_manifest,
    write_text,
)
from pnapo.errors import UserError
from pnapo.pairs.hub_card import card
from pnapo.pairs.images import images_of
from pnapo.pairs.shards import Shard, open_shard
from pnapo.pairs.store import KIND as PAIRS
from pnapo.pairs.store import read_pairs_manifest, shard_manifests

KIND = "pair export"
GROUP_BYTES = 2**26  # about so much is in memory at once, and in one row group
LABEL_COLUMNS = ("winner", "loser", "gap", "tie")
_HUB_TYPES = {pa.string(): "string", pa.int64(): "int64", pa.float32(): "float32", pa.float64(): "float64"}
_HUB_TYPES[pa.bool_()] = "bool"

Features = dict[str, tuple[pa.DataType, dict[str, Any]]]  # a column's type, and what the datasets library calls it


def export_pairs(
    manifest: Path,
    prompts: pd.DataFrame,
    images: Sequence[Path],
    labels: Mapping[str, Path],
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Write a pair set with its images (manifests, shard by shard) and labels (tables by name) into the folder `out`.

    A file for each shard, a few rows at a time. Raises UserError if a file is damaged, if images or labels are of another
    pair set, if the names of rewards make one column twice, or if `out` holds other data files.
    """
    require_intact(manifest, PAIRS)
    content, shards = read_pairs_manifest(manifest), shard_manifests(manifest)
    names = [f"data/train-{number:05d}-of-{len(shards):05d}.parquet" for number in range(len(shards))]
    foreign = sorted({f"data/{file.name}" for file in (out / "data").glob("[!.]*")} - set(names))
    if foreign:
        raise UserError(f"{out}: holds {foreign[0]} of another export; name an empty folder")
    earlier = out / "manifest.json"
    if earlier.exists() and read_manifest(earlier)["kind"] != KIND:
        raise UserError(f"{out}: holds another artefact; name an empty folder")
    earlier.unlink(missing_ok=True)
    tables = {name: _labels(path, content["prompt_ids"], manifest) for name, path in labels.items()}
    pictures = images_of(manifest, images)
    settings = content["settings"]
    made_with = {"pairs": settings, "images": {k: v for k, v in pictures.settings[0].items() if k != "shard"}}
    noise = open_shard(shards[0], check=False).noise.numel() > 0
    features = features_of(settings, tables, noise)
    texts, pngs, first = dict(zip(prompts["prompt_id"], prompts["prompt"])), pictures.encoded(), 0
    for name, path in zip(names, shards):
        shard = open_shard(path, check=False)
        parts = {key: table.iloc[first : first + len(shard.prompt_ids)] for key, table in tables.items()}
        _write_file(out / name, features, _row_groups(shard, texts, pngs, parts, made_with))
        first += len(shard.prompt_ids)
        log(f"exported {first}/{len(content['prompt_ids'])} prompts")
    write_text(out / "README.md", card(out.name, settings, features, names, out, first, list(tables)))
    write_manifest(out, KIND, made_with, ["README.md", *names], rows=first)


def features_of(settings: Mapping[str, Any], labels: Mapping[str, pd.DataFrame], noise: bool) -> Features:
    """The columns of an export. Raises UserError if two would have one name."""
    samples, shape = range(settings["samples"]), settings["latent_shape"]
    array = pa.list_(pa.list_(pa.list_(pa.float32())))
    found: list[tuple[str, pa.DataType, dict]] = [(name, pa.string(), {}) for name in ("prompt_id", "prompt")]
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    found += [(f"image_{k}", picture, {"_type": "Image"}) for k in samples]
    for name in ("noise", "latent") if noise else ("latent",):
        array_3d = {"shape": list(shape), "dtype": "float32", "_type": "Array3D"}
        found += [(f"{name}_{k}", array, array_3d) for k in samples]
    found.append(("seed", pa.int64(), {}))
    for name, table in labels.items():
        score = pa.float32() if table["score_0"].dtype == np.float32 else pa.float64()
        found += [(f"{name}_{k}", score, {}) for k in samples]
        kinds = (pa.int64(), pa.int64(), pa.float64(), pa.bool_())
        found += [(f"{name}_{column}", kind, {}) for column, kind in zip(LABEL_COLUMNS, kinds)]
    found.append(("made_with", pa.string(), {}))
    names = [name for name, _, _ in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"two columns would be called {twice}; rename the labels of a reward")
    return {n: (kind, told or {"dtype": _HUB_TYPES[kind], "_type": "Value"}) for n, kind, told in found}


def drawn_seed(settings: Mapping[str, Any]) -> int | None:
    """The seed of a pair set's noises; None where they were computed, or where there are none."""
    return None if {"dataset", "inversion", "truncation"} & settings.keys() else settings["seed"]


def _labels(path: Path, prompt_ids: list[str], manifest: Path) -> pd.DataFrame:
    table = read_table(path, ["prompt_id", "score_0", *LABEL_COLUMNS])
    if list(table["prompt_id"]) != prompt_ids:
        raise UserError(f"{path}: labels of another pair set than {manifest}; delete it and run again")
    return read_table(path)


def _write_file(file: Path, features: Features, groups: Iterator[dict[str, Any]]) -> None:
    """One data file, row group by row group."""
    told = {"info": {"features": {name: hub for name, (_, hub) in features.items()}}}
    schema = pa.schema([(name, kind) for name, (kind, _) in features.items()], {"huggingface": json.dumps(told)})
    options = {"compression": "zstd", "use_dictionary": ["made_with"], "write_page_checksum": True}
    with (
        atomic_path(file) as temporary,
        pq.ParquetWriter(temporary, schema, write_statistics=["prompt_id"], **options) as writer,
    ):
        for columns in groups:
            arrays = [
                value if isinstance(value, pa.Array) else pa.array(value, kind)
                for value, kind in ((columns[field.name], field.type) for field in schema)
            ]
            writer.write_table(pa.table(arrays, schema=schema))


def _row_groups(
    shard: Shard, texts: Mapping[str, str], pngs: Iterator[bytes], labels: Mapping[str, pd.DataFrame], made_with: dict
) -> Iterator[dict[str, Any]]:
    """The columns of a shard, so many rows at a time as GROUP_BYTES hold; takes its images from `pngs`."""
    samples, seed = shard.latent.shape[1], drawn_seed(made_with["pairs"])
    text = json.dumps(made_with, sort_keys=True, ensure_ascii=False)
    sides = {"latent": shard.latent, **({"noise": shard.noise} if shard.noise.numel() else {})}
    row_bytes = samples * 2**20 + sum(4 * side[0].numel() for side in sides.values())  # an image is about a megabyte
    step = max(1, GROUP_BYTES // row_bytes)
    for start in range(0, len(shard.prompt_ids), step):
        rows = slice(start, start + step)
        ids = shard.prompt_ids[rows]
        group: dict[str, Any] = {"prompt_id": ids, "prompt": [texts[prompt_of(name)] for name in ids]}
        encoded = list(islice(pngs, len(ids) * samples))
        for k in range(samples):
            pictures = zip(ids, encoded[k::samples])
            group[f"image_{k}"] = [{"bytes": data, "path": f"{name}-{k}.png"} for name, data in pictures]
            group |= {f"{name}_{k}": nested(side[rows, k]) for name, side in sides.items()}
        for name, table in labels.items():
            columns = {f"{name}_{k}": f"score_{k}" for k in range(samples)}
            columns |= {f"{name}_{column}": column for column in LABEL_COLUMNS}
            group |= {ours: table[theirs].to_numpy()[rows] for ours, theirs in columns.items()}
        yield {**group, "seed": [seed] * len(ids), "made_with": [text] * len(ids)}


def nested(tensor: torch.Tensor) -> pa.Array:
    """A float32 tensor [n, C, h, w] as lists of lists of lists, without a copy of its numbers."""
    found = pa.array(tensor.contiguous().numpy().reshape(-1))
    for size in reversed(tensor.shape[1:]):
        found = pa.ListArray.from_arrays(np.arange(0, len(found) + 1, size, dtype=np.int32), found)
    return found
