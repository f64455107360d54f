"""A job of the workflow, and what the rules ask about a configuration to tell which there are (`pnapo.plan.graph`)."""

from typing import NamedTuple

from pnapo.config.resolve import grid, resolve_run
from pnapo.config.schema import Config, Run
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS

SELECTED = "selected"  # the list of training prompts


class Job(NamedTuple):
    """A job: its rule and its wildcards, in the order in which `pnapo.plan.graph` has them."""

    rule: str
    key: tuple = ()


def job(rule: str, *key) -> Job:
    return Job(rule, key)


def run_of(policy: str) -> tuple[str, int]:
    """Run (or point of a grid) and training seed of the policy `pnapo-s0` or `pnapo-s0-at80`."""
    name, _, seed = policy.partition("-at")[0].rpartition("-s")
    return name, int(seed)


def owners(config: Config) -> dict[str, str]:
    """Whose grid each training of `tuning` is a point of."""
    return {point: run for run in config.runs for point in grid(config, run)}


def whole_visits(config: Config, run: Run) -> int:
    """Visits of all its pairs whose reference errors a run reads from jobs of their own (rules/helpers/runs.smk)."""
    if run.reference != "cache" or not LOSSES[run.loss].reference or PATHS[run.path].uncached:
        return 0
    if run.pairs or run.min_gap:
        return 0
    return run.steps * run.batch * run.accumulation // pair_count(config, run.data)


def pair_count(config: Config, data: str | None) -> int:
    """Prompts of a pair set, or pairs of a data set."""
    return config.datasets[data].count if data else config.prompts.selection.count


def resolved(config: Config, backbone: str, run: str) -> Run:
    """The settings of a run, or point of a grid, on a backbone."""
    return Run.model_validate(resolve_run(config, backbone, run))
