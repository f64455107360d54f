"""Read score files R/scores/{backbone}/{policy}/{testset}/{metric}.parquet and line them up, image by image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from pnapo.artifacts import read_table
from pnapo.config.schema import Statistics
from pnapo.errors import UserError

BASE = "base"
BASELINE = "diffusion_dpo"  # the run that win_vs_dpo refers to
OVERALL = "overall"  # GenEval's score over all tasks


class Expected(BaseModel):
    """Which scores there should be: names only, in the order of the tables. The JSON of the scripts' --config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbones: list[str]
    runs: dict[str, list[int]]  # run -> training seeds
    only: dict[str, list[str]] = {}  # run -> backbones, for runs that are not on all
    metrics: dict[str, list[str]]  # metric -> test sets
    scored_by: dict[str, str] = {}  # metric -> the network behind its reward
    statistics: Statistics = Statistics()

    def policies(self, run: str) -> list[str]:
        """Folder names of a run: `base`, or one per training seed."""
        return [BASE] if run == BASE else [f"{run}-s{seed}" for seed in self.runs[run]]

    def rows(self, backbone: str) -> list[str]:
        """The base model, then the runs of a backbone."""
        return [BASE, *(run for run in self.runs if backbone in self.only.get(run, [backbone]))]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(test set, metric), test sets in order of first mention."""
        testsets = dict.fromkeys(t for ts in self.metrics.values() for t in ts)
        return [(t, m) for t in testsets for m, ts in self.metrics.items() if t in ts]


@dataclass(frozen=True)
class Scores:
    """Scores of one run by one metric on one test set.

    `images` [S, N]: each of N images by each of S training seeds; `prompt` [N]: the index of its prompt, 0..P−1.
    `tags` [P]: GenEval's task of each prompt, None for other metrics. Prompts and images are in one order for all runs.
    """

    images: np.ndarray
    prompt: np.ndarray
    tags: list[str] | None = None

    def average(self, values: np.ndarray) -> np.ndarray:
        """Values [N] of images, averaged to [P]."""
        return np.bincount(self.prompt, values) / np.bincount(self.prompt)

    @property
    def per_prompt(self) -> np.ndarray:
        """[P], averaged over images and training seeds."""
        return self.average(self.images.mean(0))

    @property
    def per_seed(self) -> np.ndarray:
        """[S, P], averaged over images."""
        return np.stack([self.average(images) for images in self.images])

    @property
    def weights(self) -> np.ndarray | None:
        """[P], of mean 1, with which every task of GenEval counts alike; None without tasks."""
        if not self.tags:
            return None
        counts = pd.Series(self.tags).map(pd.Series(self.tags).value_counts()).to_numpy(float)
        return len(counts) / (len(set(self.tags)) * counts)


def score_path(root: Path | str, backbone: str, policy: str, testset: str, metric: str) -> Path:
    """Where a score file lies."""
    return Path(root) / backbone / policy / testset / f"{metric}.parquet"


def _read(path: Path) -> pd.DataFrame:
    """One score file, indexed by prompt, sample and (should a list repeat a prompt) occurrence, in sorted order."""
    frame = read_table(path)
    for column in ("prompt_id", "sample", "score"):
        if column not in frame:
            raise UserError(f"{path}: no column {column!r}; score the images again")
    if frame.empty:
        raise UserError(f"{path}: holds no scores; score the images again")
    if not np.isfinite(frame["score"].to_numpy(np.float64)).all():
        bad = frame.loc[~np.isfinite(frame["score"].astype("float64")), "prompt_id"].iloc[0]
        raise UserError(f"{path}: the score of prompt {bad} is not a finite number; score the images again")
    keys = ["prompt_id", "sample"]
    frame["occurrence"] = frame.groupby(keys).cumcount()
    return frame.set_index([*keys, "occurrence"]).sort_index()


@lru_cache(maxsize=1)  # every run of a column is lined up with the base
def _base(path: Path, written: int) -> pd.DataFrame:
    return _read(path)


def read_run(root: Path | str, expected: Expected, backbone: str, run: str, testset: str, metric: str) -> Scores:
    """All training seeds of a run. Raises UserError if a file is missing, or scores other images than the base's."""
    return read_policies(root, backbone, expected.policies(run), testset, metric)


def read_policies(root: Path | str, backbone: str, policies: Sequence[str], testset: str, metric: str) -> Scores:
    """The same for policies by name, such as those of one run after some step."""
    first = score_path(root, backbone, BASE, testset, metric)
    base = _base(first, first.stat().st_mtime_ns if first.exists() else 0)
    images = []
    for policy in policies:
        path = score_path(root, backbone, policy, testset, metric)
        frame = base if policy == BASE else _read(path)
        if not frame.index.equals(base.index):
            raise UserError(f"{path}: scores other images than {first}; make the images and scores of both again")
        images.append(frame["score"].to_numpy(np.float64))
    ids = base.index.get_level_values("prompt_id")
    if "tag" not in base:
        return Scores(np.stack(images), pd.factorize(ids)[0])
    both = pd.MultiIndex.from_arrays([ids, base["tag"]])
    prompt, unique = pd.factorize(both)
    return Scores(np.stack(images), prompt, [str(tag) for _, tag in unique])


class Differences(NamedTuple):
    """Scores of one run less those of another: `values` [S, P] by training seed and prompt, `level` the other's mean.

    `weights` [P], of mean 1, make every task of GenEval count alike; None without tasks.
    """

    values: np.ndarray
    level: float
    weights: np.ndarray | None


def differences(
    root: Path | str, expected: Expected, backbone: str, ours: str, theirs: str, testset: str, metric: str
) -> Differences:
    """Two runs on the prompts, noises and training seeds that they share; the base stands against every seed.

    Raises UserError if they have no training seed in common.
    """
    seeds = [set(expected.runs[run]) if run != BASE else None for run in (ours, theirs)]
    known = [s for s in seeds if s is not None]
    common = sorted(set.intersection(*known)) if known else []
    if known and not common:
        raise UserError(f"runs {ours} and {theirs}: no training seed in common; give both the same `seeds`")
    first, second = (
        read_policies(root, backbone, [BASE] if run == BASE else [f"{run}-s{s}" for s in common], testset, metric)
        for run in (ours, theirs)
    )
    one, other, weights = first.per_seed, second.per_seed, first.weights
    level = float((other * (1 if weights is None else weights)).mean())
    return Differences(one - other, level, weights)


def is_tagged(root: Path | str, expected: Expected, testset: str, metric: str) -> bool:
    """Whether a metric is GenEval's: its files name each prompt's task."""
    return "tag" in read_table(score_path(root, expected.backbones[0], BASE, testset, metric)).columns


def detector_of(root: Path | str, expected: Expected, testset: str, metric: str) -> str:
    """The detector behind GenEval's scores; "" if the files do not say."""
    frame = read_table(score_path(root, expected.backbones[0], BASE, testset, metric))
    return str(frame["detector"].iloc[0]) if "detector" in frame and len(frame) else ""


def iterate(expected: Expected) -> Iterator[tuple[str, str, str, str]]:
    """(backbone, run, testset, metric) in the order of the tables."""
    for backbone in expected.backbones:
        for run in expected.rows(backbone):
            for testset, metric in expected.columns:
                yield backbone, run, testset, metric
