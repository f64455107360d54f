"""What two runs were asked for: the settings in their manifests, and the parameters that Snakemake recorded of each output."""

import ast
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pnapo.artifacts import read_record
from pnapo.provenance import NAME


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of nested objects by their dotted names."""
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{name}.{key}" if name else str(key))
    return found


def parted(one: Any, other: Any) -> Iterator[str]:
    """The leaves in which two objects differ: name, one value, the other."""
    ours, theirs = flat(one), flat(other)
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs or ours[name] != theirs[name]:
            yield f"{name or 'value'}: {_short(ours, name)} and {_short(theirs, name)}"


def _short(values: Mapping[str, Any], name: str) -> str:
    text = json.dumps(values[name], ensure_ascii=False) if name in values else "nothing"
    return text if len(text) <= 60 else f"{text[:59]}…"


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """What Snakemake recorded of each output of a results folder, by its path below it: parameters, and hashes of code.

    Empty without `provenance.json`, which the workflow writes when it has finished.
    """
    if not (folder / NAME).is_file():
        return {}
    outputs = read_record(folder / NAME)["outputs"]
    root = os.path.commonpath(outputs) if len(outputs) > 1 else str(folder)
    found = {}
    for output, versions in outputs.items():
        record = max(versions.values(), key=lambda version: version["endtime"])
        parameters = [_parameter(text, root) for text in record.get("params") or []]
        sums = ast.literal_eval(str(record.get("input_checksums") or "{}"))
        code = {name: digest for name, digest in sums.items() if name.endswith(".py")}
        found[os.path.relpath(output, root)] = {"parameters": parameters, "code": code}
    return found


def _parameter(text: str, root: str) -> Any:
    """A recorded parameter: an object if it is JSON, else its text, with the results folder under one name."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = value
    return json.loads(json.dumps(found, default=str).replace(f"{root}/", "<results>/"))
