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
    write_json(path, {"kind": kind, "settings": dict(settings), "files": listed, "versions": versions(), **extra})
    return path


def versions() -> dict[str, str]:
    """The packages that results may depend on."""
    return {package: version(package) for package in _PACKAGES}


def read_manifest(path: Path | str, kind: str | None = None) -> dict[str, Any]:
    """Read a manifest. Raises UserError if it is missing, damaged, or of another kind."""
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not {"kind", "settings", "files"} <= manifest.keys():
        raise UserError(f"{path}: not a manifest (it needs kind, settings and files)")
    listed = manifest["files"].values() if isinstance(manifest["files"], dict) else [None]
    if not all(isinstance(entry, dict) and {"sha256", "bytes"} <= entry.keys() for entry in listed):
        raise UserError(f"{path}: not a manifest (each of its files needs sha256 and bytes)")
    if kind and manifest["kind"] != kind:
        raise UserError(f"{path}: describes {manifest['kind']!r}, but {kind!r} is needed here")
    return manifest


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
