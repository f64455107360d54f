"""The target of exported pair sets: the parquet file of an export of two prompts, as `pnapo import pairs` reads it.

The first byte says which whole export is changed; after it a 0 the file's bytes follow, else edits of its table. An edit is
three bytes, where, how and what, so that pyarrow reads most of what comes out, and the import has to judge it. What import
and `pnapo verify` accept must be pairs that can be trained on, and exported again.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from trust.reading import Wrong, edited, survives

TEXTS = ("a red ring", 'zwei Ringe,\n"blau"')
SHAPE = (1, 2, 2)
NAME = "data/train-00000-of-00001.parquet"


@cache
def _whole() -> list[dict[str, bytes]]:
    """The files of two exports by name: of pairs that a model made, and of pairs from elsewhere, without noise."""
    import torch

    from pnapo.artifacts import prompt_id
    from pnapo.config.schema import Dataset, Pairs
    from pnapo.pairs.generate import noises
    from pnapo.pairs.shards import Shard

    ids, wanted = [prompt_id(text) for text in TEXTS], Pairs(shards=1)
    noise = noises(wanted.seed, ids, wanted.samples, SHAPE)
    elsewhere = Dataset(path="a.parquet", count=2)
    latent = torch.arange(noise.numel(), dtype=torch.float32).view_as(noise)
    return [_exported(Shard(ids, noise, latent), wanted), _exported(Shard.without_noise(ids, latent), elsewhere)]


def _exported(shard: Any, wanted: Any) -> dict[str, bytes]:
    from pnapo.artifacts import write_table
    from pnapo.artifacts.images import encode_png, png_writer
    from pnapo.pairs.hub import export_pairs
    from pnapo.pairs.images import tensors_of
    from pnapo.pairs.labels import label
    from pnapo.pairs.shards import asked_of, write_shard
    from pnapo.pairs.store import collect

    with tempfile.TemporaryDirectory(prefix="export-") as temporary:
        folder, samples = Path(temporary) / "pairs", shard.latent.shape[1]
        made = {"samples": samples, "batch": 4, "family": "sd3", "model": "m", **asked_of(wanted)}
        manifest, part = folder / "manifest.json", folder / "samples" / "shard.json"
        write_shard(part, shard, {**made, "latent_shape": list(SHAPE)}, seed=made.get("seed"))
        collect([part], wanted, manifest)
        images = folder / "images" / "0" / "manifest.json"
        with png_writer(images, {"shard": tensors_of(part), "model": "m", "resolution": 2, "batch": 4}) as add:
            ids = [name for name in shard.prompt_ids for _ in range(samples)]
            pixels = np.arange(len(ids) * 12, dtype=np.uint8).reshape(-1, 2, 2, 3)
            add(ids, list(range(samples)) * len(shard.prompt_ids), [encode_png(image) for image in pixels])
        scores = np.arange(len(ids), dtype=np.float32).reshape(-1, samples)
        write_table(folder / "labels" / "hps.parquet", label(shard.prompt_ids, scores))
        prompts = pd.DataFrame({"prompt_id": shard.prompt_ids, "prompt": TEXTS})
        out, labels = Path(temporary) / "export", {"hps": folder / "labels" / "hps.parquet"}
        export_pairs(manifest, prompts, [images], labels, out, _silent)
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def _silent(line: str) -> None:
    pass


@cache
def _table(which: int) -> pa.Table:
    return pq.read_table(io.BytesIO(_whole()[which][NAME]))


def seeds() -> list[bytes]:
    """Each whole, each without compression, then one edit of each kind in some columns."""
    found = [bytes([which, 0]) + files[NAME] for which, files in enumerate(_whole())]
    found += [bytes([which, 0]) + _written(_table(which)) for which in range(2)]
    columns = range(0, _table(0).num_columns, 3)
    return found + [bytes([0, 1, at, how, 7 * at + 3 * how]) for how in range(len(EDITS)) for at in columns]


# Edits of a table: which column, a byte that says what, and the bytes that are left (of those one may take more).

CELLS = (None, True, -1, 0, 1, 2, 1.5, float("nan"), float("inf"), 1e308, 10**18, "", "x", "\0\n", "../x", "[" * 3000)
CELLS += (b"", b"\x89PNG", [], {}, [[[]]], [[[1.0]]], [[[float("nan")] * 2] * 2], {"bytes": None, "path": ""})
CELLS += ({"bytes": b"GIF89a", "path": None}, "a red ring", "0123456789abcdef", "0123456789abcdef-1")
TYPES = (pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.int64(), pa.uint64(), pa.float16(), pa.float32())
TYPES += (pa.float64(), pa.bool_(), pa.null(), pa.dictionary(pa.int8(), pa.string()), pa.timestamp("ns"), pa.date32())
TYPES += (pa.list_(pa.list_(pa.list_(pa.float64()))), pa.large_list(pa.list_(pa.list_(pa.float32()))))
TYPES += (pa.list_(pa.list_(pa.list_(pa.float32(), 2), 2), 1), pa.struct([("bytes", pa.large_binary())]))
TYPES += (pa.decimal128(20, 3), pa.map_(pa.string(), pa.string()), pa.duration("s"), pa.time64("ns"))
NAMES = ("", "prompt_id", "noise_0", "latent_9", "image_1", "hps_winner", "x_0", "_winner", "a.b", "..", "made_with")
SETTINGS: tuple = (10**9, 10**18, "8", 1.0, 2.0, [1, 2, 2.0], [2, 2, 1], [10**12] * 3, {"dataset": {}}, "x\n", -1, 3)
SETTINGS += ("\0", "\ud800", float("nan"), float("inf"), "x" * 300, {"a": {"b": float("nan")}}, True, 1e17)


def _cell(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    values = table.column(at).to_pylist()
    values[(rest.pop(0) if rest else 0) % max(1, len(values))] = CELLS[what % len(CELLS)]
    return _put(table, at, pa.array(values, table.schema.field(at).type))


def _all(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    return _put(table, at, pa.array([CELLS[what % len(CELLS)]] * len(table)))


def _cast(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    return _put(table, at, table.column(at).cast(TYPES[what % len(TYPES)], safe=False))


def _no_text(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    """Bytes that are not UTF-8 where texts are, also beside those of an image."""
    from pyarrow.compute import CastOptions

    broken = pa.array([b"\xff"] * len(table)).cast(options=CastOptions(pa.string(), allow_invalid_utf8=True))
    if pa.types.is_struct(table.schema.field(at).type):
        pictures = table.column(at).combine_chunks().field("bytes")
        return _put(table, at, pa.StructArray.from_arrays([pictures, broken], ["bytes", "path"]))
    return _put(table, at, broken)


def _without(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    return table.remove_column(at)


def _named(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    names = table.column_names
    new = [*NAMES, *names]
    return table.rename_columns([new[what % len(new)] if n == at else name for n, name in enumerate(names)])


def _copied(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    """The values of one column under the name of another, or beside it under the same name."""
    name = table.column_names[what % len(table.column_names)]
    if what >= 128:
        return table.append_column(name, table.column(at))
    return table.set_column(table.column_names.index(name), name, table.column(at))


def _rows(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    return table.take([row % len(table) for row in range(what % 8, what % 8 + what // 64)] if len(table) else [])


def _told(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    """`made_with` changed as JSON: by a value of SETTINGS at one of its places, or as `edited` does with all that is left."""
    text = table["made_with"][0].as_py()
    content = json.loads(text)
    if what % 2:
        changed = edited(bytes([1, *rest]), text.encode()).decode()
        rest.clear()
    else:
        part = content["pairs"] if what % 4 else content["images"]
        names = [*part, "dataset", "inversion", "truncation", "other"]
        part[names[at % len(names)]] = SETTINGS[what // 4 % len(SETTINGS)]
        changed = json.dumps(content)
    return _put(table, table.column_names.index("made_with"), pa.array([changed] * len(table)))


def _picture(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    """Bytes of a picture changed, or cut off."""
    name = f"image_{at % 2}"
    values = table[name].to_pylist()
    data = bytearray(values[0]["bytes"])
    data[what % len(data) :] = bytes(rest[:1]) + (b"" if at >= 128 else bytes(data[what % len(data) + 1 :]))
    values[0]["bytes"] = bytes(data)
    return _put(table, table.column_names.index(name), pa.array(values, table[name].type))


def _number(table: pa.Table, at: int, what: int, rest: list[int]) -> pa.Table:
    """One number of a noise or latent."""
    name = ("latent_0", "latent_1", "noise_0", "noise_1")[at % 4]
    values = table[name].to_pylist()
    values[what % len(values)][0][0][what % 2] = (float("nan"), float("inf"), -0.0, 1.0, None)[what // 2 % 5]
    return _put(table, table.column_names.index(name), pa.array(values, table[name].type))


EDITS: tuple[Callable[[pa.Table, int, int, list[int]], pa.Table], ...]
EDITS = (_cell, _all, _cast, _no_text, _without, _named, _copied, _rows, _told, _picture, _number)


def _put(table: pa.Table, at: int, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(at, table.column_names[at], values)


def _changed(data: bytes) -> bytes:
    which, rest = data[0] % 2, list(data[2:])
    if len(data) < 2 or data[1] == 0:
        return data[2:]
    table = _table(which)
    while len(rest) >= 3 and table.num_columns:
        at, how, what = (rest.pop(0) for _ in range(3))
        try:
            table = EDITS[how % len(EDITS)](table, at % table.num_columns, what, rest)
        except (pa.ArrowException, KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError):
            continue  # an edit that does not fit what the table has become
    return _written(table)


def _written(table: pa.Table) -> bytes:
    file = io.BytesIO()
    try:
        pq.write_table(table, file, compression="none", write_statistics=False)
    except (pa.ArrowException, ValueError):
        return b""
    return file.getvalue()


def accepts(data: bytes, folder: Path) -> bool:
    """Whether the changed export is taken. Raises `Wrong` for pairs that were taken for whole and are not."""
    if not data:
        return False
    from pnapo.artifacts import prompt_id
    from pnapo.pairs.hub_read import import_pairs
    from pnapo.verify import inside, verify

    files = {**_whole()[data[0] % 2], NAME: _changed(data)}
    export, back = folder / "export", folder / "imported"
    shutil.rmtree(back, ignore_errors=True)
    for name, content in files.items():
        (export / name).parent.mkdir(parents=True, exist_ok=True)
        (export / name).write_bytes(content)
    damaged = files[NAME] != _whole()[data[0] % 2][NAME]
    if bool(verify(export)[1]) != damaged:
        raise Wrong("`pnapo verify` takes a changed export for whole, or a whole one for changed")
    _relist(export / "manifest.json")
    problems = verify(export)[1]
    if not survives(lambda: import_pairs(export, back, _silent)):
        if (back / "manifest.json").exists():
            raise Wrong("a refused export left a pair set")
        return False
    problems += [problem for path in inside(back) for problem in verify(path)[1]]
    if any(prompt_id(text) != name.partition("-")[0] for name, text in _rows_of(files[NAME])):
        raise Wrong("a prompt under the id of another was accepted")
    if not problems:
        _require_pairs(back / "manifest.json", folder / "again")
    return True


def _rows_of(data: bytes) -> list[tuple[str, str]]:
    table = pq.read_table(io.BytesIO(data), columns=["prompt_id", "prompt"])
    return list(zip(table["prompt_id"].to_pylist(), table["prompt"].to_pylist()))


def _relist(manifest: Path) -> None:
    """As an attacker would: the manifest lists the file's new hash."""
    from pnapo.artifacts import read_manifest, write_manifest

    content = read_manifest(manifest)
    write_manifest(manifest, content["kind"], content["settings"], list(content["files"]), rows=content["rows"])


def _require_pairs(manifest: Path, again: Path) -> None:
    """An accepted pair set, of which `pnapo verify` found nothing wrong either, is one."""
    import torch

    from pnapo.artifacts import read_table
    from pnapo.artifacts.images import Images
    from pnapo.errors import UserError
    from pnapo.pairs.hub import export_pairs
    from pnapo.pairs.labels import require_labels
    from pnapo.pairs.layout import images_beside, labels_beside, prompts_of
    from pnapo.pairs.store import PairSet

    try:
        pairs, prompts, images = PairSet.open(manifest), prompts_of(manifest), images_beside(manifest)
        labels = labels_beside(manifest)
        for path in labels.values():
            table = read_table(path)
            require_labels(path, table, pairs.samples)
            scores = table[[f"score_{k}" for k in range(pairs.samples)]].to_numpy(np.float64)
            rows = range(len(table))
            better = scores[rows, table["winner"]] > scores[rows, table["loser"]]
            if not (np.isfinite(scores).all() and (better | table["tie"]).all()):
                raise Wrong(f"labels {path.stem!a} that their scores do not say were accepted")
        pictures = [image.shape for image in Images(*images)]
        shutil.rmtree(again, ignore_errors=True)
        export_pairs(manifest, prompts, images, labels, again, _silent)
    except UserError as error:
        raise Wrong(f"accepted, then refused: {str(error)!a}") from None
    if len(set(pairs.prompt_ids)) < len(pairs) or len(pictures) != len(pairs) * pairs.samples:
        raise Wrong("a prompt twice, or another number of images than of samples, was accepted")
    rows = range(len(pairs))
    if not torch.isfinite(pairs.latent(rows)).all() or not torch.isfinite(pairs.noise(rows)).all():
        raise Wrong("a latent or a noise that is not finite was accepted")
    if "dataset" in pairs.settings and "inversion" not in pairs.settings and pairs.noise(rows).numel():
        raise Wrong("a noise of images from elsewhere was accepted")
