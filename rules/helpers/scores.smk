# Rewards and metrics: their weights and code, and the images and scores of every policy.
from typing import get_args

GENEVAL = [name for name, metric in CONFIG.metrics.items() if metric.kind == "geneval"]


def reward_weights(reward):
    """What stands for the weights of a reward; nothing for a metric without one."""
    reward = CONFIG.rewards.get(reward)
    return weights(reward.model, reward.weights, reward.checkpoint) if reward else []


def reward_code(script, reward):
    """The sources of a script that computes one reward."""
    kinds = get_args(type(CONFIG.rewards[reward]).model_fields["kind"].annotation)
    return code(script, skip=[f"rewards/{kind}." for kind in kinds if kind != CONFIG.rewards[reward].kind])


def metric_code(wildcards):
    """The sources of score_images.py for one metric."""
    metric = CONFIG.metrics[wildcards.metric]
    if metric.kind == "geneval":
        return code("score_images", skip=["rewards/", "world/utility"])
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
