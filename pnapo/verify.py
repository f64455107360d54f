"""Is it what it says? One check for each kind of artefact, by the kind in its manifest; of other kinds the hashes are checked.

A check takes the path of a manifest and returns what is wrong, one line each that names the file.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd

from pnapo.artifacts import read_manifest, read_table, read_tensors, verify_manifest
from pnapo.errors import UserError
from pnapo.refusals import Refused

# By name, so that only what a kind needs is imported. Another kind: one line here, and its function.
CHECKS = {
    "pairs": "pnapo.pairs.verify:verify_pairs",
    "shard": "pnapo.pairs.verify:verify_shard",
    "pair export": "pnapo.pairs.hub_read:verify_export",
    "checkpoint": "pnapo.training.verify:verify_checkpoint",
    "images": "pnapo.artifacts.images:verify_images",
}


def verify(path: Path) -> tuple[str, list[str]]:
    """What a manifest, a table (.csv, .parquet) or a tensor file is, and what is wrong with it.

    A folder stands for the manifest in it. Raises UserError if it is none of these.
    """
    path = path / "manifest.json" if path.is_dir() else path
    reader = _FILES.get(path.suffix)
    if reader is None:
        raise UserError(f"{path}: not an artefact; give a manifest or its folder, a table (.csv, .parquet) or tensors")
    try:
        return reader(path)
    except Refused:
        raise
    except UserError as error:
        return "damaged", [str(error)]


def inside(folder: Path) -> list[Path]:
    """The manifests below a folder that has none itself, and the tables that none of them lists.

    A manifest that another lists, as a pair set does its shards, is left to that one. Raises UserError if there are none.
    """
    found, listed = [], set()
    for path in sorted(folder.rglob("*.json")):
        try:
            files = read_manifest(path)["files"]
        except UserError:
            if path.name != "manifest.json":
                continue  # some other JSON
            files = {}
        found.append(path)
        listed |= {(path.parent / name).resolve() for name in files}
    tables = [path for kind in ("*.csv", "*.parquet") for path in sorted(folder.rglob(kind))]
    hidden = [
        path for path in (*found, *tables) if any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    kept = [path for path in (*found, *tables) if path.resolve() not in listed and path not in hidden]
    if not kept:
        raise UserError(f"{folder}: holds no manifest.json, nor does any folder below it")
    return kept


def _manifest(path: Path) -> tuple[str, list[str]]:
    content = read_manifest(path)
    kind, problems = content["kind"], _check(content["kind"])(path)
    foreign = kind == "pairs" and "dataset" in content["settings"]
    note = "; images from elsewhere: hashes alone, as they cannot be made again" if foreign else ""
    return f"{kind}{note}", problems


def _check(kind: str) -> Callable[[Path], list[str]]:
    if kind not in CHECKS:
        return verify_manifest
    module, name = CHECKS[kind].split(":")
    return getattr(import_module(module), name)


def _parquet(path: Path) -> tuple[str, list[str]]:
    return f"table, {len(read_table(path))} rows", []


def _csv(path: Path) -> tuple[str, list[str]]:
    try:
        return f"table, {len(pd.read_csv(path))} rows", []
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({str(error).splitlines()[0]})") from None


def _tensors(path: Path) -> tuple[str, list[str]]:
    return "tensors", list(_not_finite(path))


def _not_finite(path: Path) -> Iterator[str]:
    for name, tensor in read_tensors(path).items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            yield f"{path}: {name} is not finite"


_FILES: dict[str, Callable[[Path], tuple[str, list[str]]]] = {
    ".json": _manifest,
    ".parquet": _parquet,
    ".csv": _csv,
    ".safetensors": _tensors,
}
