"""Read config.yaml and its overlays; every mistake becomes one line: where, what, and what would be right."""

import difflib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pnapo.config.checks import check
from pnapo.config.schema import Config
from pnapo.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, which would silently hide the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise UserError(f"{loader.name}: {key!r} stands twice, in lines {seen[key]} and {line}; remove one of them")
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """A YAML file whose top level is a mapping. Raises UserError otherwise."""
    try:
        with open(path, encoding="utf-8") as handle:
            value = yaml.load(handle, _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{where}: not valid YAML ({reason})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: must hold `setting: value` lines, not {type(value).__name__}")
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping; lists and values are replaced (as Snakemake merges config files)."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load_config(path: Path | str, overlays: Iterable[Path | str] = (), overrides: Mapping[str, Any] | None = None):
    """Read a configuration with overlays and single settings laid on it. Raises UserError with one line."""
    raw, origin = read_yaml(path), str(path)
    for overlay in overlays:
        raw, origin = merge(raw, read_yaml(overlay)), f"{origin} + {overlay}"
    return validate(merge(raw, overrides or {}), origin)


def validate(raw: Mapping[str, Any], origin: str = "config.yaml") -> Config:
    """The typed configuration of a merged mapping. Raises UserError with one line that begins with `origin`."""
    try:
        config = Config.model_validate(dict(raw))
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", e["type"] == "missing"))
        raise UserError(f"{origin}: {_explain(first, dict(raw))}") from None
    problem = check(config)
    if problem:
        raise UserError(f"{origin}: {problem}")
    return config


def _explain(error: Mapping[str, Any], raw: dict) -> str:
    """One pydantic error in plain words."""
    # Union members and dict keys appear in the location; keep only what is a key or index of the input.
    path, value = [], raw
    for part in error["loc"]:
        inside = isinstance(value, Mapping) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
        elif error["type"] != "missing":
            continue
        path.append(str(part))
    where, kind, context = ".".join(path), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _names_at(error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{where}: unknown setting; {hint}"
    if kind == "missing":
        return f"{where}: is missing"
    if (error["loc"] and error["loc"][-1] == "[key]") or kind == "string_pattern_mismatch":
        return f"{where}: {error['input']!r} is not a name; use lower-case letters, digits and _, a letter first"
    given = repr(error["input"])
    given = given if len(given) <= 60 else f"{given[:57]}…"
    expected = {
        "literal_error": f"must be one of {context.get('expected', '').replace(' or ', ', ')}",
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "float_type": "must be a number",
        "string_type": "must be a text",
        "dict_type": "must hold `setting: value` lines",
        "model_type": "must hold `setting: value` lines",
        "list_type": "must be a list, as in [a, b]",
        "too_short": "must not be empty",
        "greater_than": f"must be greater than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than": f"must be less than {context.get('lt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
    }.get(kind, error["msg"][:1].lower() + error["msg"][1:])
    return f"{where}: {expected}, not {given}"


def _names_at(location: Iterable[Any]) -> list[str]:
    """The settings that the schema knows at a location."""
    model: Any = Config
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
        elif typing.get_origin(model) is dict:
            model = typing.get_args(model)[1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
