"""Is it what it says? One check for each kind of artefact, by the kind in its manifest; of other kinds the hashes are checked.

A check takes the path of a manifest and returns what is wrong, one line each that names the file. Files that no manifest
lists are proven by their seal (`pnapo.artifacts.seal`).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from pnapo.artifacts import read_json, read_manifest, read_table, read_tensors, verify_manifest
from pnapo.artifacts.manifest import owners
from pnapo.artifacts.seal import Seal, read_seal, seal_problem
from pnapo.errors import UserError
from pnapo.provenance import NAME as RECORDS
from pnapo.refusals import Refused, about, raise_refused

# By name, so that only what a kind needs is imported. Another kind: one line here, and its function.
CHECKS = {
    "pairs": "pnapo.pairs.verify:verify_pairs",
    "shard": "pnapo.pairs.verify:verify_shard",
    "pair export": "pnapo.pairs.hub_read:verify_export",
    "checkpoint": "pnapo.training.verify:verify_checkpoint",
    "images": "pnapo.artifacts.images:verify_images",
}
# Results in formats that hold no seal: in a results folder, a manifest must list each.
TEXTS = (".csv", ".md", ".tex", ".html", ".svg", ".png")
# What clocks and programs beside the workflow write there proves nothing.
UNPROVEN = ("logs", "benchmarks", "benchmarks.json", "benchmarks-gpu.json", "trust")
UNREAD = "unread"  # the kind of what the system does not let be read: it may well be whole
EMBEDDINGS = ("prompts", "embeddings.safetensors")  # the only tensors that a rule names
# What a job writes beside its manifest.json, and no rule names.
BESIDE = ("compute.json", "cost.json", "images.parquet")


def verify(path: Path, results: Path | None = None) -> tuple[str, list[str]]:
    """What a manifest, a record (.json), a table (.csv, .parquet) or a tensor file is, and what is wrong with it.

    A folder stands for the manifest in it. `results` is the results folder that it is a part of, if it is known: then a seal
    must be there and say the file's place. What the system does not let be read is UNREAD, with its reason and remedy. Raises
    UserError if it is none of these.
    """
    path = path / "manifest.json" if path.is_dir() else path
    if results and path.suffix in TEXTS:
        return "damaged", [f"{path}: no manifest lists it, so nothing proves it"]
    reader = _FILES.get(path.suffix)
    if reader is None:
        raise UserError(f"{path}: not an artefact; give a manifest or its folder, a table (.csv, .parquet) or tensors")
    try:
        with about(path):
            problem = seal_problem(path, results) if path.is_file() and path.suffix in _SEALED else None
            return ("damaged", [problem]) if problem else reader(path)
    except Refused as error:
        return UNREAD, [str(error)]
    except UserError as error:
        return "damaged", [str(error)]


def inside(folder: Path) -> list[Path]:
    """What is to be verified below a folder that has no manifest itself: manifests, and the files that none of them lists.

    A manifest that another lists, as a pair set does its shards, is left to that one. Of files that no manifest lists, those
    with a seal and all tables; in a results folder, all that have to be proven. Raises UserError if there is nothing, and
    Refused for a folder that may not be read.
    """
    files = [path for path in _below(folder) if path.suffix in (*_SEALED, *TEXTS) and path.is_file()]
    results, manifests, others, listed, doubtful = results_of(files), [], [], set(), {}
    unread: set[Path] = set()

    def sealed(path: Path) -> bool:
        try:
            return read_seal(path) is not None
        except Refused:
            unread.add(path)
            return False

    if results:
        files = [path for path in files if _relative(path, results).parts[0] not in UNPROVEN]
    for path in files:
        try:
            manifest = read_manifest(path) if path.suffix == ".json" else {}
        except UserError as error:
            manifest = {}
            unread |= {path} if isinstance(error, Refused) else set()
            doubtful[path] = _described_by(path)
        if "files" in manifest:
            listed |= {(path.parent / name).resolve() for name in manifest["files"]}
        if "files" in manifest or path.name == "manifest.json":
            manifests.append(path)
        elif path.suffix in (".csv", ".parquet") or results or sealed(path) or path in unread:
            others.append(path)

    def left_to_another(path: Path) -> bool:
        """Whether a manifest answers for a file, or would if it were not damaged itself."""
        own = {path.with_suffix(""), *path.parents}
        lost = path.name != "manifest.json" and any(own & about for other, about in doubtful.items() if other != path)
        return path.resolve() in listed or (lost and _seal(path) is None)

    kept = [path for path in (*manifests, *others) if not left_to_another(path)]
    if not kept:
        raise UserError(f"{folder}: holds no manifest.json, nor does any folder below it")
    return kept


def _below(folder: Path) -> list[Path]:
    """The files below a folder, hidden ones left out."""

    def refuse(error: OSError) -> None:
        raise_refused(error, error.filename)

    found = []
    for at, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(at, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _described_by(manifest: Path) -> set[Path]:
    """The folder, or the files without suffix, that a manifest is about which cannot be read any more."""
    if manifest.name == "manifest.json":
        return {manifest.parent}
    return {manifest.with_name(manifest.name.removesuffix(".json").removesuffix(".manifest"))}


def results_of(files: Iterable[Path]) -> Path | None:
    """The results folder that files lie in: where most of their seals say they do. None for files from elsewhere."""
    found: Counter[Path] = Counter()
    for path in files:
        seal = _seal(path) if path.suffix in _SEALED else None
        if seal and seal.place:
            place = Path(unquote(seal.place))
            whole = path.absolute()
            if whole.parts[-len(place.parts) :] == place.parts:
                found[Path(*whole.parts[: -len(place.parts)])] += 1
    return found.most_common(1)[0][0] if found else None


def _seal(path: Path) -> Seal | None:
    """The seal of a file, none if the system does not let it be read, which `verify` tells."""
    try:
        return read_seal(path)
    except Refused:
        return None


def remedy(path: Path, problem: str, results: Path | None = None) -> str:
    """What to do about a problem of the artefact `path`: what to delete, and what makes it again."""
    owner = path
    try:
        listed = read_manifest(path)["files"] if path.suffix == ".json" else {}
    except UserError:
        listed = {}
    for name in listed:
        if problem.startswith(f"{path.parent / name}: "):
            owner = owners(path, name, listed)[0]
    if path.name in BESIDE or path.suffix in (".svg", ".png"):
        owner = path.with_name("manifest.json")
    elif path.suffix == ".safetensors" and read_seal(path) is None and path.parts[-2:] != EMBEDDINGS:
        numbered = path.name.startswith(("shard-", "visit-"))
        above = (folder / "manifest.json" for folder in path.parents)  # a checkpoint's is above those of its snapshots
        own = next((manifest for manifest in above if manifest.exists()), path.with_name("manifest.json"))
        owner = path.with_suffix(".json") if numbered else own
    if results and path.absolute() == results / RECORDS:
        return f"delete {path} and run `snakemake`, which writes it when it has finished"
    return f"delete {owner} and " + (f"run `snakemake -- {owner}`" if results else "make it again")


def _relative(path: Path, results: Path) -> Path:
    return path.absolute().relative_to(results) if path.absolute().is_relative_to(results) else path


def _manifest(path: Path) -> tuple[str, list[str]]:
    try:
        content = read_manifest(path)
    except Refused:
        raise
    except UserError:
        if path.name == "manifest.json" or read_seal(path) is None:
            raise
        read_json(path)
        return "record", []
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


_SEALED = (".json", ".parquet", ".safetensors")
_FILES: dict[str, Callable[[Path], tuple[str, list[str]]]] = {
    ".json": _manifest,
    ".parquet": _parquet,
    ".csv": _csv,
    ".safetensors": _tensors,
}
