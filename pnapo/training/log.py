"""The training log: one JSON line per optimizer step, without gaps or doubled lines after a resume.

`train_log.jsonl` holds only what two identical runs share, so that it can be compared; `speed.jsonl` holds the clock.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pnapo.objectives.errors import PairErrors
from pnapo.objectives.losses import Loss

COLUMNS = (
    "step",
    "loss",
    "implicit_accuracy",
    "margin",
    "e_w",
    "e_l",
    "e_ref_w",
    "e_ref_l",
    "beta_eff",
    "grad_norm",
    "learning_rate",
)


def per_pair(errors: PairErrors, values: torch.Tensor, beta: torch.Tensor, loss: Loss) -> dict[str, torch.Tensor]:
    """The logged quantities of each pair, [B] each; only those the loss computes.

    `implicit_accuracy` is 1 where the margin is positive, ½ where it is 0 (up to rounding: all pairs at step 0), else 0.
    """
    found = {"loss": values, "e_w": errors.w, "e_l": errors.l, "e_ref_w": errors.ref_w, "e_ref_l": errors.ref_l}
    if loss.loser:
        found["beta_eff"] = beta
    if loss.loser and loss.reference:
        found["margin"] = errors.margin
        found["implicit_accuracy"] = (torch.sign(errors.margin) + 1) / 2
    return {name: value.detach() for name, value in found.items() if value is not None}


def row(step: int, found: Mapping[str, torch.Tensor], grad_norm: float, learning_rate: float) -> dict[str, Any]:
    """A line of the log: means over the step's pairs, null for what the loss does not compute."""
    means = {name: value.double().mean().item() for name, value in found.items()}
    values = {"step": step, "grad_norm": grad_norm, "learning_rate": learning_rate, **means}
    return {name: values.get(name) for name in COLUMNS}


class JsonLines:
    """A JSON-lines file that is written from a byte offset on; what lies behind the offset is dropped."""

    def __init__(self, path: Path, offset: int = 0):
        self.handle = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
        self.handle.truncate(offset)
        self.handle.seek(offset)

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line, at once visible to a reader."""
        self.handle.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self.handle.flush()

    def sync(self) -> int:
        """Force everything to the disk and return the offset behind it."""
        os.fsync(self.handle.fileno())
        return self.handle.tell()

    def close(self) -> None:
        self.handle.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
