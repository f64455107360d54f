# Rewards and metrics: their weights and code, and the images and scores of every policy.
from typing import get_args

from pnapo.config.schema import Reward

GENEVAL = [name for name, metric in CONFIG.metrics.items() if metric.kind == "geneval"]


def reward_weights(reward):
    """What stands for the weights of a reward; nothing for a metric without one."""
    found = CONFIG.rewards.get(reward)
    if not found:
        return []
    beside = [str(Path(found.program).with_name("serve.py"))] if found.program else []  # what our programs share
    return weights(found.model, found.weights, found.checkpoint, found.tokenizer, found.program, *beside)


def metric_weights(wildcards):
    """What stands for the weights that a metric is computed with, a reward's or a detector's."""
    metric = CONFIG.metrics[wildcards.metric]
    own = metric.mask2former if metric.detector == "mask2former" else None
    return weights(own.model, own.clip, own.weights) if own else reward_weights(metric.reward)


def reward_kinds(but=None):
    """The sources of each kind of reward, but one."""
    kinds = get_args(Reward.model_fields["kind"].annotation)
    return [f"rewards/{kind}." for kind in kinds if kind != but]


def reward_code(script, reward):
    """The sources of a script that computes one reward."""
    return code(
        script, skip=["detectors/", "benchmarks/geneval", "world/", *reward_kinds(but=CONFIG.rewards[reward].kind)]
    )


def metric_code(wildcards):
    """The sources of score_images.py for one metric."""
    metric = CONFIG.metrics[wildcards.metric]
    if metric.detector == "mask2former":
        return code("score_images", skip=["world/", *reward_kinds()])
    if metric.kind == "geneval":
        networks = [f"detectors/{name}" for name in ("mask2former", "instances", "colors")]
        return code("score_images", skip=["rewards/", "world/utility", *networks])
    if metric.kind == "utility":
        return code("score_images", skip=["rewards/", "detectors/", "benchmarks/geneval"])
    return reward_code("score_images", metric.reward)


def metric_settings(wildcards):
    """What one metric measures on one test set."""
    return as_json({**CONFIG.metrics[wildcards.metric].model_dump(), "testsets": [wildcards.testset]})


def metric_reward(wildcards):
    """The option that carries a metric's reward, if it has one."""
    reward = CONFIG.metrics[wildcards.metric].reward
    return ["--reward", as_json(CONFIG.rewards[reward])] if reward else []


def testset_settings(*names):
    """A rule's parameter: these settings of its test set."""
    return lambda wildcards: settings(CONFIG.testsets[wildcards.testset], *names)(wildcards)


def image_settings(wildcards):
    """A rule's parameter: how the images of a test set are made on a backbone."""
    names = {"images", "steps", "guidance", "seed", "batch"}
    return as_json(sampling_of(CONFIG, wildcards.backbone, wildcards.testset).model_dump(include=names))


def all_images():
    """The manifest of every image set that some metric scores."""
    return [
        f"<results>/images/{backbone}/{policy}/{testset}/manifest.json"
        for backbone, names in POLICIES.items()
        for policy in names
        for testset in CONFIG.testsets
        if any(testset in metric.testsets for metric in CONFIG.metrics.values())
    ]


def all_scores(metrics=CONFIG.metrics, run=None):
    """The score files of every policy of every backbone by these metrics, or of one run's policies."""
    seeds = {f"{run}-s{seed}" for seed in CONFIG.runs[run].seeds} if run else None
    return [
        f"<results>/scores/{backbone}/{policy}/{testset}/{metric}.parquet"
        for backbone, names in POLICIES.items()
        for policy in names
        if run is None or policy in seeds
        for metric in metrics
        for testset in CONFIG.metrics[metric].testsets
    ]
