"""The configuration's reference and JSON schema, generated from the schema."""

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

<!-- Generated from pnapo/config/schema.py by `pnapo config docs`; edit that file. -->

`config.yaml` holds every setting. What is left out has the default below. To change something for one run of the
workflow, lay a file over it (`snakemake --configfile my.yaml`) or set single keys
(`snakemake --config backbones='[flux]'`). `pnapo config check` validates a file, `pnapo config show --run pnapo` prints
what a run resolves to.

A training run is a **method**, path × loss × schedule:

| axis | choices | what it says |
|---|---|---|
| `path` | `stored`, `independent` | source of the noised state and its target: each image's prior noise, or one fresh noise |
| `loss` | `dpo`, `sft` | how the errors of winner and loser become a number |
| `schedule` | `constant`, `reward_gap`, `anneal`, `dynamic` | β of each pair and step: β, β·f, β·g, β·f·g |

PNAPO is `stored` × `dpo` × `dynamic`; Diffusion-DPO is `independent` × `dpo` × `constant`.
"""


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
        return f"list of {_type(args[0], ())}"
    if origin is dict:
        return f"name: {_type(args[1], ())}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {int: "whole number", float: "number", str: "text"}[annotation]
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


def _section(model: type[BaseModel]) -> str:
    lines = [f"## {model.__name__}", "", (model.__doc__ or "").strip(), ""]
    lines += ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or ""
        if not meaning:
            nested = [a for a in (field.annotation, *typing.get_args(field.annotation)) if isinstance(a, type)]
            docs = [a.__doc__ or "" for a in nested if issubclass(a, BaseModel)]
            meaning = docs[0].split("\n")[0] if docs else ""
        cells = (f"`{name}`", _type(field.annotation, tuple(field.metadata)), _default(field), meaning)
        lines.append(f"| {' | '.join(cell.replace('|', PIPE) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A section and those inside it, each once, outermost first."""
    found = [model]
    for field in model.model_fields.values():
        for part in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found += [m for m in _models(part) if m not in found]
    return found


def reference() -> str:
    """docs/configuration.md."""
    return "\n".join([INTRO, *(_section(model) for model in _models(schema.Config))])


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
