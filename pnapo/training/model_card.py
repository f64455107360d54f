"""The README.md of a checkpoint: a model card with YAML front matter, the settings and the final log figures."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pnapo.artifacts.pretrained import published
from pnapo.text import escape_markdown
from pnapo.watch import KINDS

_LABELS = {
    "loss": "loss",
    "implicit_accuracy": "implicit accuracy",
    "margin": "margin",
    "e_w": "error, winner",
    "e_l": "error, loser",
    "e_ref_w": "reference error, winner",
    "e_ref_l": "reference error, loser",
    "beta_eff": "effective β",
    "grad_norm": "gradient norm before clipping",
}


def model_card(
    name: str, settings: Mapping[str, Any], log: Sequence[Mapping[str, Any]], warned: Mapping[str, Any]
) -> str:
    """The model card's text. Figures are means over the last tenth of the steps, `warned` the content of warnings.json."""
    run = settings["run"]
    method = f"{run['path']} × {run['loss']} × {run['schedule']}"
    weights = "pytorch_lora_weights.safetensors" if run["adapter"] == "lora" else "transformer/"
    steps = min(settings["stop"], warned["stopped"]["weights"]) if warned["stopped"] else settings["stop"]
    log = log[:steps]
    tail = log[-math.ceil(len(log) / 10) :]
    sections = [
        "---\n" + yaml.safe_dump(_front_matter(settings), sort_keys=True, allow_unicode=True) + "---",
        f"# {escape_markdown(name)}",
        f"A `{settings['family']}` text-to-image model tuned with the method {method} (path × loss × schedule) on "
        f"{settings['pairs']['count']} preference pairs for {steps} steps, training seed {settings['seed']}.",
        "## Use",
        _usage(settings, weights),
        "## β in both conventions",
        f"* code (squared errors averaged over D = {settings['dimensions']} dimensions, factor ½): "
        f"β = {settings['beta_code']:g}\n"
        f"* papers (squared errors summed, no factor): β/(2D) = {settings['beta_sum']:.6g}",
        f"## Log, mean of the last {len(tail)} steps",
        _figures(tail),
        "## Warnings",
        _warnings(warned),
        "## Settings",
        "```json\n" + json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n```",
        "The weights carry the licence of the base model.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(settings: Mapping[str, Any]) -> dict[str, Any]:
    tags = ["text-to-image", "diffusers", settings["family"], settings["run"]["loss"]]
    if settings["run"]["adapter"] == "lora":
        tags.append("lora")
    return {
        "base_model": published(settings["base_model"])[0],
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": tags,
        **_license(Path(settings["base_model"]) / "README.md"),
    }


def _license(base_card: Path) -> dict[str, str]:
    """The licence keys of the base model's own card; "other" if it has none."""
    if base_card.is_file():
        parts = base_card.read_text("utf-8", "replace").split("---", 2)
        if len(parts) == 3 and not parts[0].strip():
            try:
                head = yaml.safe_load(parts[1]) or {}
            except (yaml.YAMLError, ValueError, RecursionError):
                head = {}
            head = head if isinstance(head, dict) else {}
            keys = ("license", "license_name", "license_link")
            found = {key: head[key] for key in keys if isinstance(head.get(key), str)}
            if "license" in found:
                return found
    return {"license": "other", "license_name": "as-the-base-model"}


def _usage(settings: Mapping[str, Any], weights: str) -> str:
    """Lines that load the checkpoint. A precision is named, as the parts of a base model may be stored in different ones."""
    pipeline = {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}[settings["family"]]
    name, commit = published(settings["base_model"])
    base = json.dumps(name, ensure_ascii=False) + (f", revision={json.dumps(commit)}" if commit else "")
    if weights.endswith("/"):
        model = {"sd3": "SD3Transformer2DModel", "flux": "FluxTransformer2DModel"}[settings["family"]]
        load = (
            f'transformer = {model}.from_pretrained(".", subfolder="transformer", torch_dtype=torch.bfloat16)\n'
            f"pipe = {pipeline}.from_pretrained({base}, transformer=transformer, torch_dtype=torch.bfloat16)"
        )
        imports = f"{model}, {pipeline}"
    else:
        load = (
            f"pipe = {pipeline}.from_pretrained({base}, torch_dtype=torch.bfloat16)\n"
            f'pipe.load_lora_weights(".", weight_name="{weights}")'
        )
        imports = pipeline
    return f"```python\nimport torch\nfrom diffusers import {imports}\n\n{load}\n```"


def _warnings(warned: Mapping[str, Any]) -> str:
    found, stopped = warned["warnings"], warned["stopped"]
    if not found:
        return "None."
    lines = [f"{len(found)}, in the order they came; thresholds are in `warnings.json`."]
    lines += [f"* Step {one['step']}: {KINDS[one['name']]}: {one['text']}." for one in found]
    if stopped:
        lines += [
            f"Training was stopped after step {stopped['after']}; the weights are those of step {stopped['weights']}."
        ]
    return "\n".join(lines)


def _figures(tail: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| quantity | value |", "|---|---|"]
    for key, label in _LABELS.items():
        values = [line[key] for line in tail if line[key] is not None]
        if values:
            lines.append(f"| {label} | {math.fsum(values) / len(values):.6g} |")
    return "\n".join(lines)
