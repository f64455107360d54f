"""Read config.yaml and its overlays; every mistake becomes one line: where, what, and what would be right."""

import difflib
import typing
from collections.abc import Hashable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pnapo.config.checks import check
from pnapo.config.schema import Config
from pnapo.errors import UserError
from pnapo.text import presentable, redacted

LARGEST = 200_000  # characters of a file, and parts that its aliases stand for


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, which would silently hide the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *other` may be overruled by the keys beside it
            continue
        key = loader.construct_object(key_node, deep=True)
        key = "on" if key is True else key
        line = key_node.start_mark.line + 1
        if not isinstance(key, Hashable):
            raise UserError(f"{loader.name}, line {line}: the name of a setting must be a plain word")
        if key in seen:
            raise UserError(f"{loader.name}: {key!r} stands twice, in lines {seen[key]} and {line}; remove one of them")
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """A YAML file whose top level is a mapping. Raises UserError otherwise."""
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST} characters, which no configuration has")
        loader = _Loader(text)
        loader.name = str(path)
        node = loader.get_single_node()
        if node and _size(node, {}) > LARGEST:
            raise UserError(f"{path}: names parts of itself again and again (& and *) until there are far too many")
        value = loader.construct_document(node) if node else None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a YAML file") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML (too deeply nested)") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: other bytes than UTF-8, or a date that does not exist
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{where}: not valid YAML ({reason})") from None
    if not isinstance(value, dict):
        kind = "is empty" if value is None else "holds a list" if isinstance(value, list) else "holds a single value"
        raise UserError(f"{path}: must hold `setting: value` lines, but {kind}")
    return _with_on(value, str(path))


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """The parts of a node once every * stands for what it names; infinite for one that holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")  # while it is being counted
        pairs = isinstance(node, yaml.MappingNode)
        inside = chain.from_iterable(node.value) if pairs else node.value
        known[id(node)] = 1 + sum(_size(part, known) for part in inside)
    return known[id(node)]


def _with_on(value: Any, origin: str) -> Any:
    """The same with the key `on` as it was written: YAML 1.1, and so Snakemake, reads it as true."""
    if isinstance(value, Mapping):
        if "on" in value and any(key is True for key in value):
            raise UserError(f"{origin}: the setting on stands twice, once in quotes; write it one way in all files")
        return {"on" if key is True else key: _with_on(inner, origin) for key, inner in value.items()}
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping; lists and values are replaced (as Snakemake merges config files)."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


# Sections whose entries have names of the user's choice.
NAMED = ("models", "rewards", "preferences", "datasets", "testsets", "metrics", "runs", "downloads")


def _taken_away(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same without entries that are null: so an overlay takes away what the file below it names."""
    sections = {name: raw[name] for name in NAMED if isinstance(raw.get(name), Mapping)}
    return {**raw, **{name: {k: v for k, v in s.items() if v is not None} for name, s in sections.items()}}


def load_config(path: Path | str, overlays: Iterable[Path | str] = (), overrides: Mapping[str, Any] | None = None):
    """Read a configuration with overlays and single settings laid on it. Raises UserError with one line."""
    raw, origin = read_yaml(path), str(path)
    for overlay in overlays:
        raw, origin = merge(raw, read_yaml(overlay)), f"{origin} + {overlay}"
    return validate(merge(raw, overrides or {}), origin)


def validate(raw: Mapping[str, Any], origin: str = "config.yaml") -> Config:
    """The typed configuration of a merged mapping. Raises UserError with one line that begins with `origin`."""
    raw = _taken_away(_with_on(raw, origin))
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        errors = error.errors()
        first = min(errors, key=lambda e: (e["type"] != "extra_forbidden", e["type"] == "missing"))
        raise UserError(presentable(f"{origin}: {_explain(first, errors, raw)}")) from None
    problem = _secret(raw) or _switch(raw, config.model_dump()) or check(config)
    if problem:
        raise UserError(presentable(f"{origin}: {problem}"))
    return config


def _secret(given: Any, where: str = "") -> str | None:
    """Where a value holds a password or token, which logs, manifests and the report would keep."""
    if isinstance(given, str) and redacted(given) != given:
        return (
            f"{where}: holds a password or token, which records would keep; take it out (HF_TOKEN opens the model hub)"
        )
    inner: Iterable[Any] = given.items() if isinstance(given, Mapping) else ()
    inner = enumerate(given) if isinstance(given, list) else inner
    return next(filter(None, (_secret(value, f"{where}.{key}".lstrip(".")) for key, value in inner)), None)


def _switch(given: Any, read: Any, where: str = "") -> str | None:
    """What is wrong with the first true or false that was read as a number, which pydantic allows."""
    if isinstance(given, bool) and not isinstance(read, bool):
        return f"{where}: must be a number, not {given}"
    inner: Iterable[Any] = ()
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        inner = ((key, value, read.get(key)) for key, value in given.items())
    elif isinstance(given, list) and isinstance(read, list):
        inner = zip(range(len(given)), given, read)
    found = (_switch(value, other, f"{where}.{key}".lstrip(".")) for key, value, other in inner)
    return next(filter(None, found), None)


def _where(error: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """The dotted path of the setting that an error is about."""
    # Union members and dict keys appear in the location; keep only what is a key or index of the input.
    path: list[str] = []
    value: Any = raw
    for part in error["loc"]:
        inside = isinstance(value, Mapping) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
        elif error["type"] != "missing":
            continue
        path.append(str(part))
    return ".".join(path)


def _explain(error: Mapping[str, Any], errors: list, raw: Mapping[str, Any]) -> str:
    """A pydantic error, and those of the same setting (one for each kind of value it may have), in plain words."""
    where, kind = _where(error, raw), error["type"]
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
    here = [e for e in errors if e["type"] not in ("missing", "extra_forbidden") and _where(e, raw) == where]
    expected = " or ".join(dict.fromkeys(_expected(e) for e in here)).replace(" or must ", " or ")
    return f"{where}: {expected}, not {given}"


def _expected(error: Mapping[str, Any]) -> str:
    """What a value must be, in the words of one pydantic error."""
    context = error.get("ctx", {})
    return {
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
        "finite_number": "must be a finite number",
        "invalid_key": "names of settings must be words",
    }.get(error["type"], error["msg"][:1].lower() + error["msg"][1:])


def _names_at(location: Iterable[Any]) -> list[str]:
    """The settings that the schema knows at a location."""
    model: Any = Config
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
        elif typing.get_origin(model) is dict:
            model = typing.get_args(model)[1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
