"""The README.md of an exported pair set: a data set card with YAML front matter."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pnapo.artifacts.pretrained import published
from pnapo.text import code_span, escape_markdown

_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))


def card(
    name: str,
    settings: Mapping[str, Any],
    features: Mapping[str, tuple[Any, Mapping[str, Any]]],
    files: Sequence[str],
    folder: Path,
    rows: int,
    labels: Sequence[str],
) -> str:
    """The card's text. The licence is left to whoever publishes it, who knows the model's.

    Names may be others' (a pair set that was imported keeps its settings): they stand as code, or escaped.
    """
    title = escape_markdown(name)
    size = next((told for limit, told in _SIZES if rows < limit), "n>1M")
    written = sum((folder / file).stat().st_size for file in files)
    head = {
        "pretty_name": name,
        "task_categories": ["text-to-image"],
        "tags": ["preference", "rectified-flow", "prior-noise", settings["family"]],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
        "dataset_info": {
            "features": [_feature(column, told) for column, (_, told) in features.items()],
            "splits": [{"name": "train", "num_bytes": written, "num_examples": rows}],
            "download_size": written,
            "dataset_size": written,
        },
    }
    noise = "noise_0" in features
    columns = [
        ("`prompt_id`, `prompt`", "the prompt; its id is the first 16 hex digits of the SHA-256 of its text"),
        ("`image_0`, `image_1`, …", "the images made of it, PNG"),
        *([("`noise_0`, …", "the prior noise of each, float32 [C, h, w], bit for bit")] if noise else []),
        ("`latent_0`, …", "the final latent of each, float32 [C, h, w], already scaled: (z − shift)·scale"),
        ("`seed`", "with `prompt_id` and the sample's number the key that the noise was drawn by; empty if it was not"),
        *[
            (
                ", ".join(code_span(f"{label}_{end}") for end in ("0", "winner", "loser", "gap", "tie")).replace(
                    "|", "\\|"
                ),
                "the score of each sample (raw units), the best and the worst of them, and what lies between",
            )
            for label in labels
        ],
        ("`made_with`", "how the samples were made, as JSON"),
    ]
    sections = [
        "---\n# license: to be chosen by whoever publishes this; the images carry the terms of the model that made them\n"
        + yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
        + "---",
        f"# {title}",
        _origin(settings, rows),
        "## Use",
        "```python\nfrom datasets import load_dataset\n\n"
        f'pairs = load_dataset({json.dumps(folder.name)}, split="train").with_format("numpy")\n'
        f'pairs[0]["{"noise" if noise else "latent"}_0"].shape  # {tuple(settings["latent_shape"])}\n```',
        f"{code_span(f'pnapo import pairs {shlex.quote(folder.name)} --out FOLDER')} makes the pair set of it again, bit "
        "for bit; `pnapo train` reads it as it is.",
        "## Columns",
        "\n".join(["| column | what it is |", "|---|---|", *(f"| {column} | {told} |" for column, told in columns)]),
    ]
    return "\n\n".join(sections) + "\n"


def _origin(settings: Mapping[str, Any], rows: int) -> str:
    name, commit = published(settings["model"])
    model = code_span(name) + (f" at commit {code_span(commit)}" if commit else "")
    if "dataset" in settings:
        return f"{rows} pairs of images from elsewhere, encoded into the latents of {model}."
    return (
        f"{settings['samples']} images of each of {rows} prompts by the rectified-flow model {model} "
        f"({settings['family']}), {settings['steps']} Euler steps at guidance {settings['guidance']:g}, each with the prior "
        "noise that it was made from: what PNAPO (arXiv 2605.09433) trains on."
    )


def _feature(column: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """A column in the notation of a card's front matter."""
    kinds = {"Image": "image", "Value": told.get("dtype")}
    array = {"array3_d": {"shape": told.get("shape"), "dtype": told.get("dtype")}}
    return {"name": column, "dtype": kinds.get(told["_type"], array)}
