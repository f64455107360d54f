"""A big artefact is a folder with a small manifest.json: what made it, and the SHA-256 of every file.

Snakemake sees only the manifest and compares it by content; nothing in it varies between two identical runs.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pnapo.artifacts.files import read_json, sha256, write_json
from pnapo.errors import UserError

NAME = "manifest.json"
_PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy")


def write_manifest(
    path: Path | str, kind: str, settings: Mapping[str, Any], files: Sequence[str], **extra: Any
) -> Path:
    """Write the manifest of `files` (paths relative to its folder) and return its path.

    `path` is the manifest's own path, or the folder it lies in.
    """
    path = Path(path)
    path = path if path.suffix == ".json" else path / NAME
    listed = {}
    for name in sorted(files):
        file = path.parent / name
        listed[name] = {"sha256": sha256(file), "bytes": file.stat().st_size}
    versions = {package: version(package) for package in _PACKAGES}
    write_json(path, {"kind": kind, "settings": dict(settings), "files": listed, "versions": versions, **extra})
    return path


def read_manifest(path: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Read a manifest. Raises UserError if it is missing, damaged, or of another kind."""
    manifest = read_json(path)
    parts = {"kind": str, "settings": dict, "files": dict}
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(part), kind) for part, kind in parts.items()):
        raise UserError(f"{path}: not a manifest (it needs kind, settings and files)")
    for name, entry in manifest["files"].items():
        if (
            not isinstance(entry, dict)
            or type(entry.get("bytes")) is not int
            or not isinstance(entry.get("sha256"), str)
        ):
            raise UserError(f"{path}: not a manifest (each of its files needs sha256 and bytes)")
        if not is_inside(name):
            raise UserError(f"{path}: lists {name!r}, which is not a file of its folder; delete it and run again")
    if kind and manifest["kind"] != kind:
        raise UserError(f"{path}: describes {manifest['kind']!r}, but {kind!r} is needed here")
    return manifest


def is_inside(name: Any) -> bool:
    """Whether a name from a file is that of a path below a folder: relative, and never up."""
    return (
        isinstance(name, str)
        and "\0" not in name
        and bool(name)
        and not Path(name).is_absolute()
        and ".." not in Path(name).parts
    )


def verify_manifest(path: Path | str, kind: str | None = None) -> list[str]:
    """What is wrong with the files a manifest lists, one line each; empty if all are intact."""
    problems = []
    for name, entry in read_manifest(path, kind)["files"].items():
        file = Path(path).parent / name
        if not file.is_file():
            problems.append(f"{file}: missing")
        elif file.stat().st_size != entry["bytes"]:
            problems.append(f"{file}: {file.stat().st_size} bytes instead of {entry['bytes']}")
        elif sha256(file) != entry["sha256"]:
            problems.append(f"{file}: its content is not what {path} records")
    return problems


def require_intact(path: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Read a manifest whose files must all be intact. Raises UserError that names the first bad file."""
    problems = verify_manifest(path, kind)
    if problems:
        raise UserError(f"{problems[0]}; delete {path} and run again")
    return read_manifest(path, kind)
