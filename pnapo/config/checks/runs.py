"""Runs: the data, labels and backbones they name, what their methods need, and numbers that must fit together."""

from pnapo.config.checks.names import labels, unknown, unknown_model
from pnapo.config.resolve import resolve_run, runs_on
from pnapo.config.schema import GIVEN, Config, Run


def check_runs(config: Config) -> str | None:
    for name, run in config.runs.items():
        if name == "base":
            return "runs.base: the name is taken by the untrained model; choose another"
        problem = (
            _data(config, run)
            or _labels(config, run)
            or _backbones(config, run)
            or _guidance(config, name)
            or _reference(run)
            or _numbers(config, run)
            or _memory(config, name)
        )
        if problem:
            return f"runs.{name}.{problem}"
    return None


def _data(config: Config, run: Run) -> str | None:
    """What is wrong with a run's data set. This and the checks below begin with the setting."""
    if not run.data:
        return (
            f"reward: {GIVEN} is a data set's own preference; name the set in `data`" if run.reward == GIVEN else None
        )
    if run.data not in config.datasets:
        return unknown("data", run.data, "data set", config.datasets)
    if run.path in ("stored", "shuffled", "truncated"):
        return (
            f"path: {run.path} needs the noise that made an image, but the images of {run.data} come from elsewhere; "
            "use independent, independent_each or inverted"
        )
    if (run.pairs or 0) > config.datasets[run.data].count:
        return f"pairs: {run.pairs} pairs, but datasets.{run.data}.count is {config.datasets[run.data].count}"
    return None


def _labels(config: Config, run: Run) -> str | None:
    if run.reward not in (known := [*labels(config), *([GIVEN] if run.data else [])]):
        return unknown("reward", run.reward, "reward", known)
    if run.reward in config.preferences and run.reward_scale not in ("raw", 1):
        return (
            f"reward_scale: {run.reward_scale} on the preference {run.reward}, whose labels are logits "
            f"already; set it to raw, and the factors in preferences.{run.reward}.rewards"
        )
    return None


def _backbones(config: Config, run: Run) -> str | None:
    return unknown_model("on", run.on, config) or unknown_model("backbones", run.backbones, config)


def _guidance(config: Config, name: str) -> str | None:
    loss = config.runs[name].loss
    embedded = [b for b in config.backbones if config.models[b].family == "flux" and name in runs_on(config, b)]
    if loss in ("npo", "self_npo") and embedded:
        return (
            f"loss: {loss} needs classifier-free guidance, but {embedded[0]} embeds its guidance; "
            f"take the run away ({name}: null) or set its `backbones`"
        )
    return None


def _reference(run: Run) -> str | None:
    """What the cached errors of a frozen reference cannot give."""
    if run.reference != "cache":
        return None
    if run.reference_ema:
        return "reference_ema: a reference that follows the policy moves in each step; set reference: compute too"
    if run.loss == "inversion_dpo_published":
        return f"loss: {run.loss} compares velocities, and the cache holds errors; set reference: compute too"
    return None


def _numbers(config: Config, run: Run) -> str | None:
    count, last = config.prompts.selection.count, max(run.snapshots, default=0)
    if not run.data and (run.pairs or 0) > count:
        return f"pairs: {run.pairs} prompts, but prompts.selection.count is {count}"
    if run.n1 > run.n2:
        return f"n1: {run.n1} is later than n2 = {run.n2}; n1 must not exceed n2"
    if last > run.steps:
        return f"snapshots: {last} is later than the last step, {run.steps}"
    if run.tune and not config.tuning:
        return "tune: there is no section `tuning` that says what to try; add one, as in config/lab.yaml"
    if len(set(run.seeds)) != len(run.seeds) or min(run.seeds) < 0:
        return f"seeds: {run.seeds} must be different whole numbers, none below 0"
    return None


def _memory(config: Config, name: str) -> str | None:
    """What does not go together of the settings that save memory, on any of the run's backbones."""
    for backbone in (b for b in config.backbones if name in runs_on(config, b)):
        run = Run.model_validate(resolve_run(config, backbone, name))
        own = config.runs[name].on.get(backbone)
        if run.sharded and run.adapter != "full":
            where = f"on.{backbone}.sharded" if own and own.sharded else "sharded"
            return f"{where}: there is little to split of a LoRA adapter; set adapter: full, or sharded: false"
        if run.sharded and run.optimizer == "adamw_8bit":
            return "optimizer: adamw_8bit cannot be split over processes; set optimizer: adamw, or sharded: false"
    return None
