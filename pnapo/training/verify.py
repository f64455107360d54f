"""Prove a checkpoint: every file is what its manifest says, the weights are numbers, and the log has every step."""

from pathlib import Path

from pnapo.artifacts import read_json, read_manifest, read_tensors, verify_manifest
from pnapo.training.checkpoint import WARNINGS
from pnapo.training.log import read_log


def verify_checkpoint(path: Path | str) -> list[str]:
    """What is wrong with the checkpoint of a manifest, one line each; empty if nothing is."""
    problems, folder = verify_manifest(path, "checkpoint"), Path(path).parent
    if problems:
        return problems
    content = read_manifest(path)
    settings = content["settings"]
    for name in content["files"]:
        if name.endswith(".safetensors"):
            bad = [key for key, value in read_tensors(folder / name).items() if not value.isfinite().all()]
            problems += [f"{folder / name}: {key} is not finite" for key in bad[:1]]
    if read_json(folder / "settings.json") != settings:
        problems.append(f"{folder / 'settings.json'}: other settings than {path} records")
    steps = [line["step"] for line in read_log(folder / "train_log.jsonl")]
    stopped = read_json(folder / WARNINGS)["stopped"] if WARNINGS in content["files"] else None
    expected = stopped["after"] if stopped else settings["run"]["steps"]
    if steps != list(range(expected)):
        problems.append(f"{folder / 'train_log.jsonl'}: not one line for each of {expected} steps")
    return problems
