"""The checkpoint folder of a finished run, and how it replaces an older one."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pnapo.artifacts import write_json, write_manifest, write_text
from pnapo.training.log import read_log
from pnapo.training.model_card import model_card

COST, COST_KIND = "compute.json", "cost"
UNLISTED = ("speed.jsonl",)  # varies between identical runs: listed in compute.json, not in the manifest
WARNINGS = "warnings.json"  # what the training was warned of, whether that stopped it, and where the thresholds were
SNAPSHOTS = "snapshots"  # weights after fewer steps, each in a folder named after the step
_WEIGHTS = ("pytorch_lora_weights.safetensors", "transformer")


def assemble(
    folder: Path,
    name: str,
    settings: Mapping[str, Any],
    weights_after: Callable[[int], Path],
    logs: Sequence[Path],
    warned: Mapping[str, Any],
) -> None:
    """Write into `folder` all of a checkpoint but the weights after its last step: those of the run's snapshots, or of the
    one it stops at, model card, settings, logs, warnings."""
    run, stop = settings["run"], settings["stop"]
    for step in run["snapshots"]:
        shutil.copytree(weights_after(step), folder / SNAPSHOTS / str(step))
    if stop != run["steps"] or warned["stopped"]:
        shutil.copytree(weights_after(stop), folder, dirs_exist_ok=True)
    for log in logs:
        shutil.copyfile(log, folder / log.name)
    write_json(folder / "settings.json", settings)
    write_json(folder / WARNINGS, warned)
    write_text(folder / "README.md", model_card(name, settings, read_log(folder / "train_log.jsonl"), warned))


def publish(folder: Path, out: Path, settings: Mapping[str, Any], cost: Mapping[str, Any]) -> None:
    """Move an assembled checkpoint to `out`, file by file; then write what it cost, and its manifest last.

    What varies between identical runs has a manifest of its own, compute.json, so that the checkpoint's does not.
    The manifest of an older checkpoint goes first, and so do its weights if they are of another kind: a reader never
    sees a manifest beside files that it does not describe.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(out / SNAPSHOTS, ignore_errors=True)
    for name in _WEIGHTS:
        old = out / name
        if not (folder / name).exists():
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    for name in names:
        with open(folder / name, "rb") as handle:
            os.fsync(handle.fileno())
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, out / name)
    write_manifest(out / COST, COST_KIND, {}, [name for name in UNLISTED if name in names], **cost)
    write_manifest(out, "checkpoint", settings, [name for name in names if name not in UNLISTED])
