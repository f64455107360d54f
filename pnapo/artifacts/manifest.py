"""A big artefact is a folder with a small manifest.json: what made it, and the SHA-256 of every file. It is sealed itself.

Snakemake sees only the manifest and compares it by content; nothing in it varies between two identical runs.
"""

import hashlib
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pnapo.artifacts.files import sha256, sha256_once
from pnapo.artifacts.records import read_record, write_record
from pnapo.artifacts.seal import place_of, results_folder
from pnapo.errors import UserError

NAME = "manifest.json"
LISTINGS = ("table", "curves", "report")  # the kinds that `write_listing` writes
_PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy")


def write_manifest(
    path: Path | str,
    kind: str,
    settings: Mapping[str, Any],
    files: Sequence[str],
    packages: Sequence[str] = _PACKAGES,
    **extra: Any,
) -> Path:
    """Write the manifest of `files` (paths relative to its folder) and return its path.

    `path` is the manifest's own path, or the folder it lies in; `packages` are those whose versions it records.
    """
    path = Path(path)
    path = path if path.suffix == ".json" else path / NAME
    listed = {}
    for name in sorted(files):
        file = path.parent / name
        listed[name] = {"sha256": sha256(file), "bytes": file.stat().st_size}
        if file.suffix == ".parquet":
            listed[name]["footer"] = _footer(file)
    about = {"kind": kind, "settings": dict(settings), "files": listed, "versions": versions(packages), **extra}
    write_record(path, about)
    return path


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """The versions of packages, by default of those that results may depend on."""
    return {package: version(package) for package in packages}


def read_manifest(path: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Read a manifest. Raises UserError if it is missing, damaged, in another's place, or of another kind."""
    manifest = read_record(path)
    parts = {"kind": str, "settings": dict, "files": dict}
    if not all(isinstance(manifest.get(part), kind) for part, kind in parts.items()):
        raise UserError(f"{path}: not a manifest (it needs kind, settings and files)")
    for name, entry in manifest["files"].items():
        if (
            not isinstance(entry, dict)
            or type(entry.get("bytes")) is not int
            or not isinstance(entry.get("sha256"), str)
        ):
            raise UserError(f"{path}: not a manifest (each of its files needs sha256 and bytes)")
        # What a listing vouches for may lie beside its folder, as report.html beside report/.
        if not is_inside(name.removeprefix("../") if manifest["kind"] in LISTINGS else name):
            raise UserError(f"{path}: lists {name!r}, which is not a file of its folder; delete it and run again")
    if kind and manifest["kind"] != kind:
        raise UserError(f"{path}: describes {manifest['kind']!r}, but {kind!r} is needed here")
    return manifest


def is_inside(name: Any) -> bool:
    """Whether a name from a file is that of a path below a folder: relative, and never up."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def verify_manifest(path: Path | str, kind: str | None = None) -> list[str]:
    """What is wrong with the files a manifest lists, one line each; empty if all are intact."""
    listed = read_manifest(path, kind)["files"]
    return [problem for name in listed if (problem := _problem(Path(path), name, listed[name], sha256))]


def require_intact(path: Path | str, kind: str | None = None, only: Iterable[str] | None = None) -> dict[str, Any]:
    """Read a manifest whose files, or `only` those of these names, must be intact.

    What this process has hashed before is not hashed again. Raises UserError that names the first bad file.
    """
    return _require(path, kind, only, sha256_once)


def require_whole(path: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Read a manifest whose files must be there and as long as it says, whatever is in them: nothing is read.

    Raises UserError as `require_intact` does.
    """
    return _require(path, kind, None, None)


def _require(
    path: Path | str, kind: str | None, only: Iterable[str] | None, digest: Callable[[Path], str] | None
) -> dict[str, Any]:
    manifest = read_manifest(path, kind)
    listed = manifest["files"]
    for name in listed if only is None else only:
        if name not in listed:
            raise UserError(f"{path}: does not list {name}; delete it and run again")
        problem = _problem(Path(path), name, listed[name], digest)
        if problem:
            raise UserError(f"{problem}; delete {' and '.join(map(str, owners(path, name, listed)))} and run again")
    return manifest


def require_footer(path: Path | str, kind: str, name: str) -> None:
    """The footer of a listed parquet file must be intact, and be that file's: for who reads a few pages of a large file.

    Whoever reads pages verifies their checksums (`page_checksum_verification`). Raises UserError as `require_intact` does.
    """
    entry = read_manifest(path, kind)["files"].get(name, {})
    if "footer" not in entry:
        require_intact(path, kind, only=[name])
        return
    problem = _problem(Path(path), name, entry | {"sha256": entry["footer"]}, _footer)
    if problem:
        raise UserError(f"{problem}; delete {path} and run again")


def _footer(file: Path) -> str:
    """The SHA-256 of a parquet file's footer, with its length and the letters at the end; "" if there is none."""
    with open(file, "rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - 8))
        length = int.from_bytes(handle.read(4), "little") + 8
        if length > size:
            return ""
        handle.seek(size - length)
        return hashlib.sha256(handle.read()).hexdigest()


def owners(path: Path | str, name: str, listed: Container[str]) -> list[Path]:
    """The manifests to delete so that a listed file is made again, the innermost first.

    A manifest that lists shards lists their manifests too, shard.json beside shard.safetensors: they are made again by those.
    """
    pair = [Path(name).with_suffix(suffix).as_posix() for suffix in (".json", ".safetensors")]
    return [*([Path(path).parent / pair[0]] if all(one in listed for one in pair) else []), Path(path)]


def write_listing(path: Path | str, kind: str, files: Sequence[str]) -> Path:
    """Write the manifest of results in formats that hold no seal (CSV, Markdown, a page): hashes alone."""
    return write_manifest(path, kind, {}, files, packages=())


def listing_of(table: Path | str) -> Path:
    """The manifest that vouches for a table of results: main.manifest.json for main.csv, main.md and main.tex."""
    return Path(table).with_suffix(f".{NAME}")


def require_listed(table: Path | str) -> None:
    """A table of results must be what the manifest beside it lists; a user's own, outside of results, need have none.

    Raises UserError that names the table if it is damaged, or the manifest if that is.
    """
    listing = listing_of(table)
    if listing.exists() or place_of(table, results_folder()):
        require_intact(listing, only=[Path(table).name])


def _problem(manifest: Path, name: str, entry: Mapping[str, Any], digest: Callable[[Path], str] | None) -> str | None:
    file = manifest.parent / name
    if not file.is_file():
        return f"{file}: missing"
    if file.stat().st_size != entry["bytes"]:
        return f"{file}: {file.stat().st_size} bytes instead of {entry['bytes']}"
    if digest and digest(file) != entry["sha256"]:
        return f"{file}: its content is not what {manifest} records"
    return None
