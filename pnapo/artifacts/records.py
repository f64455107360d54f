"""Records: small JSON files that no manifest lists, sealed (`pnapo.artifacts.seal`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnapo.artifacts.files import json_bytes, read_json
from pnapo.artifacts.seal import AGAIN, KEY, blank, require_seal, sealed_path
from pnapo.errors import UserError


def write_record(path: Path | str, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its seal atomically; the same object in the same place gives the same bytes."""
    with sealed_path(path) as temporary:
        temporary.write_bytes(json_bytes({**value, KEY: blank(path)}))


def read_record(path: Path | str) -> dict[str, Any]:
    """Read a JSON object, without its seal. Raises UserError that names the file if it is missing, damaged or misplaced."""
    require_seal(path)
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a JSON object; {AGAIN}")
    value.pop(KEY, None)
    return value
