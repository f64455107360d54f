"""Rewards, preferences and metrics: what they need, and on which test sets they can be measured."""

from collections.abc import Iterable

from pnapo.config.checks.names import unknown
from pnapo.config.schema import Config, Metric, TestSet

NEEDED = {  # by kind: a setting, and what it is
    "hps": ("checkpoint", "weights file"),
    "aesthetic": ("checkpoint", "weights file"),
    "imagereward": ("tokenizer", "tokenizer's folder"),
    "external": ("program", "program"),
}
HF = "geneval_hf"  # what tables call GenEval-HF


def check_rewards(config: Config) -> str | None:
    for name, reward in config.rewards.items():
        setting, what = NEEDED.get(reward.kind, (None, None))
        if setting and not getattr(reward, setting):
            return f"rewards.{name}.{setting}: is missing; kind {reward.kind} needs its {what}"
    return None


def check_preferences(config: Config) -> str | None:
    for name, preference in config.preferences.items():
        if name in config.rewards:
            return f"preferences.{name}: a reward is called so, and both have labels; choose another name"
        for reward in preference.rewards:
            if reward not in config.rewards:
                return unknown(f"preferences.{name}.rewards", reward, "reward", config.rewards)
    return None


def check_metrics(config: Config) -> str | None:
    for name, metric in config.metrics.items():
        where = f"metrics.{name}"
        if metric.kind == "reward" and metric.reward not in config.rewards:
            return unknown(f"{where}.reward", str(metric.reward), "reward", config.rewards)
        if metric.kind == "geneval" and (problem := _detector(name, metric)):
            return f"{where}.{problem}"
        if metric.kind != "geneval" and name.startswith(HF):
            return f"{where}.kind: {metric.kind}, but names that begin with {HF} are GenEval-HF's; rename the metric"
        for testset in metric.testsets:
            if testset not in config.testsets:
                return unknown(f"{where}.testsets", testset, "test set", config.testsets)
            if problem := _metadata(metric, config.testsets[testset]):
                return f"{where}.testsets: {testset} {problem}"
        if len(set(metric.testsets)) != len(metric.testsets):
            return f"{where}.testsets: a name stands twice"
    return None


def _detector(name: str, metric: Metric) -> str | None:
    """What is wrong with the detector of a metric of kind geneval. The name says whose score it is, in every table."""
    if metric.detector is None:
        return "detector: is missing; kind geneval needs a detector"
    if metric.detector == "mask2former" and metric.mask2former is None:
        return "mask2former: is missing; detector mask2former needs its folder and a CLIP"
    if (metric.detector == "mask2former") != name.startswith(HF):
        return (
            f"detector: {metric.detector}, but the name of a metric begins with {HF} if its detector is mask2former, "
            "and only then; rename the metric"
        )
    return None


def check_measured(config: Config, where: str, testset: str, metrics: Iterable[str]) -> str | None:
    """What is wrong with a test set and metrics that are named together."""
    if testset not in config.testsets:
        return unknown(f"{where}.testset", testset, "test set", config.testsets)
    for name in metrics:
        if name not in config.metrics:
            return unknown(where, name, "metric", config.metrics)
        if problem := _metadata(config.metrics[name], config.testsets[testset]):
            return f"{where}: {testset} {problem}"
    return None


def _metadata(metric: Metric, testset: TestSet) -> str | None:
    """Why a test set lacks what a metric needs beside the prompts."""
    if metric.kind == "utility" and testset.path:
        return "comes from a file, but kind utility needs a list of the embedded world (`source`)"
    paths = [testset.path] if isinstance(testset.path, str) else testset.path or []
    has_metadata = testset.source == "geneval" or (paths and all(path.lower().endswith(".jsonl") for path in paths))
    if metric.kind == "geneval" and not has_metadata:
        return "has no GenEval metadata; kind geneval needs `source: geneval` or GenEval's .jsonl"
    return None
