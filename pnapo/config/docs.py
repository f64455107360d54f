"""The configuration's reference and JSON schema, generated from the schema."""

import inspect
import json
import types
import typing
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pnapo.artifacts.files import write_text
from pnapo.config import schema

PIPE = "\\|"  # a bar inside a cell
INTRO = """# Configuration

<!-- Generated from pnapo/config/schema/ by `pnapo config docs`; edit the files there. -->

`config.yaml` holds every setting. What is left out has the default below. To change something for one run of the
workflow, lay a file over it (`snakemake --configfile my.yaml`) or set single keys
(`snakemake --config backbones='[flux]'`). Of an overlay's settings, those inside a section are laid over it one by one;
a list replaces the list below it, and `null` takes away what an entry's name has below it (`runs: {sft: null}`).

* `pnapo config check` validates `config.yaml`; `pnapo config check --config my.yaml` validates it with the overlay.
* `pnapo config show --run pnapo --backbone flux` prints the settings of one run on one backbone.
* `pnapo config docs` writes this page and `config/schema.json`, with which editors complete and check the file.

A training run is a **method**, path × loss × schedule:

| axis | choices | what it says |
|---|---|---|
| `path` | PATHS | where the noised state and its target come from: an image's own prior noise, or another noise |
| `loss` | LOSSES | how the errors of winner and loser become a number |
| `schedule` | SCHEDULES | β of each pair and step; `reward_gap`: less where the gap is small, `anneal`: less towards the end |

PNAPO is `stored` × `dpo` × `dynamic`; Diffusion-DPO is `independent` × `dpo` × `constant`; InPO is `inverted` ×
`dpo` × `constant`, and so is what works of Inversion-DPO: its public code as it stands, whose gradient is 0 where it starts, is
the loss `inversion_dpo_published`. For another method, add an entry under `runs`: Snakemake makes only what that run needs,
and the tables. `config/lab.yaml` has one for every method of [methods.md](methods.md), and compares them
([laboratory.md](laboratory.md)); [add-a-method.md](add-a-method.md) shows how to write a new one.
"""
# Whose settings these are.
OVERRIDDEN = {schema.Overrides: schema.Run, schema.Sampling: schema.Pairs, schema.Testing: schema.TestSet}
AXES = {"PATHS": schema.PathName, "LOSSES": schema.LossName, "SCHEDULES": schema.ScheduleName}


def _type(annotation: Any, metadata: tuple) -> str:
    """A type and its bounds in plain words."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner = [m for part in args[1:] for m in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return _type(args[0], (*metadata, *inner))
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(arg, metadata) for arg in args if arg is not type(None))
    if origin is list:
        least = next((f", at least {m.min_length}" for m in metadata if isinstance(m, annotated_types.MinLen)), "")
        return f"list of {_type(args[0], ())}{least}"
    if origin is dict:
        return f"name: {_type(args[1], ())}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text"}[annotation]
    if any("pattern" in str(m) for m in metadata):
        words = "name"
    signs = {annotated_types.Ge: ("ge", "≥"), annotated_types.Gt: ("gt", ">")}
    signs |= {annotated_types.Le: ("le", "≤"), annotated_types.Lt: ("lt", "<")}
    bounds = [f"{signs[type(m)][1]} {getattr(m, signs[type(m)][0])}" for m in metadata if type(m) in signs]
    return f"{words} {', '.join(bounds)}".strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.default
    if isinstance(value, BaseModel):
        return ""
    return "" if value is None else f"`{json.dumps(value)}`"


def _section(model: type[BaseModel], place: str) -> str:
    where = f"In the file: `{place}`." if place else ""
    lines = [f"## {model.__name__}", "", f"{inspect.cleandoc(model.__doc__ or '')} {where}".rstrip(), ""]
    lines += ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or ""
        if not meaning and model in OVERRIDDEN:
            meaning = OVERRIDDEN[model].model_fields[name].description or ""
        if not meaning:
            nested = [a for a in (field.annotation, *typing.get_args(field.annotation)) if isinstance(a, type)]
            docs = [a.__doc__ or "" for a in nested if issubclass(a, BaseModel)]
            meaning = " ".join(docs[0].split("\n\n")[0].split()) if docs else ""
        cells = (f"`{name}`", _type(field.annotation, tuple(field.metadata)), _default(field), meaning)
        lines.append(f"| {' | '.join(cell.replace('|', PIPE) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _models(model: type[BaseModel], place: str = "") -> dict[type[BaseModel], str]:
    """A section and those inside it, each once, outermost first, with the key under which it stands."""
    found = {model: place}
    for name, field in model.model_fields.items():
        key = f"{place}.{name}".lstrip(".") + (".NAME" if typing.get_origin(field.annotation) is dict else "")
        for part in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _models(part, key)
    return found


def reference() -> str:
    """docs/configuration.md."""
    intro = INTRO
    for word, names in AXES.items():
        intro = intro.replace(word, ", ".join(f"`{name}`" for name in typing.get_args(names)))
    return "\n".join([intro, *(_section(model, place) for model, place in _models(schema.Config).items())])


def json_schema() -> str:
    """config/schema.json, for editors that complete and check YAML."""
    return json.dumps(schema.Config.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def generated() -> dict[str, str]:
    """Every generated file and what it must contain."""
    return {"docs/configuration.md": reference(), "config/schema.json": json_schema()}


def write_docs(root: Path | str = ".") -> list[Path]:
    """Write the generated files below the repository's root; returns their paths."""
    paths = []
    for name, text in generated().items():
        write_text(Path(root) / name, text)
        paths.append(Path(root) / name)
    return paths
