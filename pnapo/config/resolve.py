"""What each job depends on: the only place where settings are resolved for a run and a backbone."""

import json
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

from pydantic import BaseModel

from pnapo.config.schema import GIVEN, WITHOUT_BETA, Config, Pairs, Run, TestSet

# A run's lists of which one entry is in force, and whether it is tuned: no reason to train a seed again.
_ASIDE = {"seeds", "on", "backbones", "tune"}


class Point(NamedTuple):
    """A point of a tuned run's grid: factors on the run's β and learning rate."""

    run: str
    beta: float
    learning_rate: float


def grid(config: Config, run: str) -> dict[str, Point]:
    """The points at which a run is tried, by the names of their trainings (`pnapo_grid0`, …); none if it is not tuned.

    Every run has as many, whether its loss has a β or not.
    """
    tuning, section = config.tuning, config.runs[run]
    if not (tuning and section.tune):
        return {}
    factors = list(product(tuning.beta, tuning.learning_rate))
    if section.loss in WITHOUT_BETA:
        low, high, count = min(tuning.learning_rate), max(tuning.learning_rate), len(factors)
        factors = [(1.0, low * (high / low) ** (i / max(1, count - 1))) for i in range(count)]
    return {f"{run}_grid{i}": Point(run, *both) for i, both in enumerate(dict.fromkeys(factors))}


def stops(config: Config, run: str) -> list[int]:
    """The steps after which tuning may stop a run."""
    return list(config.tuning.steps or [config.runs[run].steps])


def resolve_run(config: Config, backbone: str, run: str) -> dict[str, Any]:
    """The settings of one run, or of one point of a tuned run's grid, on one backbone, its `on` laid over them.

    Without `seeds` and `on`: another seed, or a change for another backbone, is no reason to train this one again.
    """
    points = {name: point for owner in config.runs for name, point in grid(config, owner).items()}
    point = points.get(run, Point(run, 1.0, 1.0))
    section = config.runs[point.run]
    overrides = section.on[backbone].model_dump(exclude_none=True) if backbone in section.on else {}
    resolved = {**section.model_dump(exclude=_ASIDE), **overrides}
    resolved["beta"] *= point.beta
    resolved["learning_rate"] *= point.learning_rate
    if grid(config, point.run):
        kept = stops(config, point.run) if run in points else [*stops(config, point.run), *section.snapshots]
        resolved["snapshots"] = sorted(set(kept))
    return Run.model_validate(resolved).model_dump(exclude=_ASIDE)


def draw_seed(config: Config, path: str, seed: int) -> int:
    """The seed of the times and fresh noises of a training: one for each training seed, so that seeds differ in all chance.

    Rollouts (`truncated`) are made for one draw of the times, which all trainings on them share.
    """
    return config.seed + (0 if path == "truncated" else seed)


def runs_on(config: Config, backbone: str) -> dict[str, Run]:
    """The runs of a backbone, in the order of the configuration."""
    return {name: run for name, run in config.runs.items() if run.backbones is None or backbone in run.backbones}


def label_table(run: Run) -> str:
    """The path of a run's labels below the results, {backbone} left open."""
    if run.data and run.reward == GIVEN:
        return f"prompts/datasets/{run.data}.labels.parquet"
    return f"pairs/{{backbone}}{data_folder(run)}/labels/{run.reward}.parquet"


def data_folder(run: Run) -> str:
    """Where below a backbone's pairs those of a run lie: "" for the pairs that the model made."""
    return f"/datasets/{run.data}" if run.data else ""


def policies(config: Config, backbone: str) -> list[str]:
    """The policies compared on a backbone: `base`, then `{run}-s{seed}` in the order of the configuration."""
    return ["base", *(f"{name}-s{seed}" for name, run in runs_on(config, backbone).items() for seed in run.seeds)]


def pairs_of(config: Config, backbone: str) -> Pairs:
    """How the pair set of a backbone is made."""
    return config.pairs.model_copy(update=config.models[backbone].pairs.model_dump(exclude_none=True))


def networks(config: Config, metrics: Iterable[str]) -> dict[str, str]:
    """The network behind each of these metrics that is a reward, in words: which CLIP, which version."""
    found = {name: config.metrics[name].reward for name in metrics}
    return {name: config.rewards[reward].network for name, reward in found.items() if reward}


def sampling_of(config: Config, backbone: str, name: str) -> TestSet:
    """How the images of a test set are made on a backbone."""
    return config.testsets[name].model_copy(update=config.models[backbone].tests.model_dump(exclude_none=True))


def as_json(section: BaseModel | dict[str, Any]) -> str:
    """Settings as canonical JSON: a Snakemake parameter, and the value of a script's `--settings`."""
    value = section.model_dump() if isinstance(section, BaseModel) else section
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
