"""Paths: what Snakemake, shells and terminals would not take for a name."""

from collections.abc import Iterator
from typing import Any

from pnapo.config.schema import Config

# Settings, wherever they stand, that name files or folders.
PATHS = (
    "results",
    "published",
    "path",
    "checkpoint",
    "config_path",
    "model",
    "weights",
    "clip",
    "pretrained",
    "tokenizer",
)
PATHS += ("program", "python")


def check_paths(config: Config) -> str | None:
    for where, name, value in _texts(config.model_dump(), ""):
        if name in PATHS and ("{" in value or "}" in value):
            return f"{where}: {value!r} has a brace, which Snakemake takes for a wildcard; rename the file or folder"
        if name in PATHS and (not value.isprintable() or value.startswith("-")):
            return (
                f"{where}: {value!r} begins with - or has characters that cannot be printed; rename the file or folder"
            )
    return None


def _texts(value: Any, where: str, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text with its place and the setting that it is a value of."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}".lstrip("."), key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, where, name)
    elif isinstance(value, str):
        yield where, name, value
