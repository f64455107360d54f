"""How much two versions of one file differ, by its kind: tables, tensors, logs, records, images. A short text each."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pnapo.artifacts import read_json
from pnapo.diff.settings import parted
from pnapo.errors import UserError

SHOWN = 3  # differences named of one file
IMAGES = "images.parquet"


def differences(one: Path, other: Path) -> str:
    """What differs between two files whose bytes do; "" where only the packaging does (a seal's place, a compression).

    Raises UserError that names a file which cannot be read.
    """
    if one.name == IMAGES:
        return _images(one, other)
    return _KINDS.get(one.suffix, _bytes)(one, other)


def _bytes(one: Path, other: Path) -> str:
    sizes = one.stat().st_size, other.stat().st_size
    return f"other content, {sizes[0]} and {sizes[1]} bytes"


def _parquet(one: Path, other: Path) -> str:
    return frames(_table(one), _table(other))


def _csv(one: Path, other: Path) -> str:
    return frames(pd.read_csv(one), pd.read_csv(other))


def _table(path: Path) -> pd.DataFrame:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True).read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: not a readable table ({str(error).splitlines()[0]}); `pnapo verify` says more"
        ) from None


def frames(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """What differs between two tables: columns, rows, and of each column in how many rows and how much at most."""
    if list(one.columns) != list(other.columns):
        odd = sorted(set(one.columns) ^ set(other.columns))
        return f"other columns: {', '.join(map(str, odd[:SHOWN]))}" if odd else "columns in another order"
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} rows"
    found = [text for name in one.columns if (text := _column(one[name], other[name]))]
    return _some(found)


def _column(one: pd.Series, other: pd.Series) -> str:
    numbers = all(series.dtype.kind in "iuf" for series in (one, other))
    if numbers:
        ours, theirs = one.to_numpy(np.float64), other.to_numpy(np.float64)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    else:
        same = np.array([a is b or _equal(a, b) for a, b in zip(one, other)], bool)
    if same.all():
        return ""
    rows = f"{one.name} in {(~same).sum()} of {len(same)} rows"
    if not numbers:
        return f"{rows}, first in row {int(np.flatnonzero(~same)[0])}"
    return f"{rows} by at most {_number(np.abs(ours - theirs)[~same])}"


def _equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return a == b or bool(pd.isna(a) and pd.isna(b))


def _number(gaps: np.ndarray) -> str:
    """The largest of some differences; NaN stands for one that is no number on one side."""
    return "what is no number" if np.isnan(gaps).any() else f"{gaps.max():.3g}"


def _images(one: Path, other: Path) -> str:
    """How many images have other pixels, and by how much at most (of 255)."""
    from pnapo.artifacts.images import decode_png

    files = [pq.ParquetFile(path, page_checksum_verification=True) for path in (one, other)]
    counts = [file.metadata.num_rows for file in files]
    if counts[0] != counts[1]:
        return f"{counts[0]} and {counts[1]} images"
    changed, most, keys = 0, 0, 0
    for ours, theirs in zip(*(file.iter_batches(64) for file in files)):  # of equal lengths, as the writer's groups are
        a, b = ours.to_pydict(), theirs.to_pydict()
        keys += sum(x != y for name in ("prompt_id", "sample") for x, y in zip(a[name], b[name]))
        for x, y in zip(a["image"], b["image"]):
            if x == y:
                continue
            pixels = [decode_png(png).astype(int) for png in (x, y)]
            gap = int(np.abs(pixels[0] - pixels[1]).max()) if pixels[0].shape == pixels[1].shape else 255
            changed, most = changed + (gap > 0), max(most, gap)
    if keys:
        return "images of other prompts, or in another order"
    return f"{changed} of {counts[0]} images, by at most {most} of 255" if changed else ""


def _safetensors(one: Path, other: Path) -> str:
    import torch

    from pnapo.artifacts import read_metadata, read_tensors

    ours, theirs = read_tensors(one), read_tensors(other)
    if ours.keys() != theirs.keys():
        return f"other tensors: {', '.join(sorted(ours.keys() ^ theirs.keys())[:SHOWN])}"
    found: list[tuple[float, str]] = []
    for name, value in ours.items():
        if value.shape != theirs[name].shape or value.dtype != theirs[name].dtype:
            return f"{name}: {value.dtype} {list(value.shape)} and {theirs[name].dtype} {list(theirs[name].shape)}"
        if not torch.equal(value, theirs[name]):
            gap = (value.double() - theirs[name].double()).abs()
            most = float("inf") if gap.isnan().any() else float(gap.max())
            found.append((most, f"{name} in {int((gap != 0).sum())} of {gap.numel()} numbers by at most {most:.3g}"))
    texts = [text for _, text in sorted(found, reverse=True)]
    head = f"{len(found)} of {len(ours)} tensors: " if len(found) > 1 else ""
    if texts:
        return head + _some(texts)
    meta = [{k: v for k, v in read_metadata(path).items() if k != "seal"} for path in (one, other)]
    return _some([f"metadata {text}" for text in parted(*meta)])


def _log(one: Path, other: Path) -> str:
    """The first step at which two training logs differ, and the numbers that do."""
    ours, theirs = (list(map(json.loads, path.read_text("utf-8").splitlines())) for path in (one, other))
    for a, b in zip(ours, theirs):
        if a != b:
            gaps = [
                f"{name} {a.get(name)} and {b.get(name)}{_gap(a.get(name), b.get(name))}"
                for name in dict.fromkeys([*a, *b])
                if a.get(name) != b.get(name)
            ]
            return f"first at step {a.get('step')}: {_some(gaps)}"
    return f"{len(ours)} and {len(theirs)} steps" if len(ours) != len(theirs) else ""


def _gap(a: object, b: object) -> str:
    both = all(isinstance(value, int | float) for value in (a, b))
    return f" (by {abs(a - b):.3g})" if both else ""


def _json(one: Path, other: Path) -> str:
    """The leaves in which two records differ; of manifests, less the hashes of their files, which are compared themselves."""
    values = [read_json(path) for path in (one, other)]
    if all(isinstance(value, Mapping) for value in values):
        left_out = ("seal", "versions", *(["files"] if all("files" in value for value in values) else []))
        values = [{k: v for k, v in value.items() if k not in left_out} for value in values]
    return _some(list(parted(*values)))


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


_KINDS: dict[str, Callable[[Path, Path], str]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".safetensors": _safetensors,
    ".jsonl": _log,
    ".json": _json,
}
