"""Runs at the snapshots of their training: what they gain over the base there, and what that cost."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from pnapo.config.schema import Statistics
from pnapo.tables.scores import BASE, read_policies


class Curve(BaseModel):
    """A run's snapshots, and what a step costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbones: list[str]
    seeds: list[int]
    steps: list[int]
    pairs: int  # of a step
    sides: int  # images of a pair that are passed forward
    reference: bool  # whether the reference is, too
    setup: int  # forward passes of the reference before the first step, such as inversion's

    def passes(self, step: int) -> tuple[int, int]:
        """Samples passed forward until a step: through the policy, and through the reference."""
        policy = step * self.pairs * self.sides
        return policy, policy * self.reference + self.setup


class Curves(BaseModel):
    """What the table is made of: the JSON of the script's --config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    testset: str
    metrics: list[str]
    runs: dict[str, Curve]
    statistics: Statistics

    def on(self, backbone: str) -> dict[str, Curve]:
        """The curves of one backbone."""
        return {run: curve for run, curve in self.runs.items() if backbone in curve.backbones}


def gains_along(root: Path | str, curves: Curves, backbone: str, run: str, metric: str) -> np.ndarray:
    """Gains over the base [steps, S, P]: at each snapshot of a run, by training seed and prompt."""
    base, found = read_policies(root, backbone, [BASE], curves.testset, metric), []
    for step in curves.runs[run].steps:
        policies = [f"{run}-s{seed}-at{step}" for seed in curves.runs[run].seeds]
        ours = read_policies(root, backbone, policies, curves.testset, metric)
        found.append([ours.average(images - base.images[0]) for images in ours.images])
    return np.array(found)
