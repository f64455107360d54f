"""What the types cannot say: names that must exist elsewhere in the configuration, and numbers that must fit together.

A check returns what does not fit as one line, from the setting on, or None.
"""

from pnapo.config.checks import data, guidance, lab, measuring, paths, runs
from pnapo.config.schema import Config

# In this order: the first thing that does not fit is said.
CHECKS = (
    paths.check_paths,
    data.check_backbones,
    data.check_prompts,
    data.check_shards,
    lab.check_lab,
    measuring.check_rewards,
    data.check_datasets,
    data.check_given,
    data.check_testsets,
    data.check_downloads,
    measuring.check_preferences,
    measuring.check_metrics,
    runs.check_runs,
    guidance.check_guidance,
    lab.check_tuning,
    lab.check_budget,
    lab.check_claims,
)


def check(config: Config) -> str | None:
    """The first thing that does not fit together, as one line; None if all does."""
    return next(filter(None, (check(config) for check in CHECKS)), None)
