"""Guidance stands in pairs, training and test sets, and goes together on each backbone unless it says that it need not."""

from itertools import chain

from pnapo.config.resolve import pairs_of, runs_on, sampling_of
from pnapo.config.schema import Config


def check_guidance(config: Config) -> str | None:
    for backbone in config.backbones:
        model = config.models[backbone]
        found = _embedded if model.family == "flux" else _unguided
        if not model.mixed_guidance and (problem := found(config, backbone)):
            return f"{problem}, or say that it is meant with models.{backbone}.mixed_guidance: true"
    return None


def _embedded(config: Config, backbone: str) -> str | None:
    """A model that embeds its guidance is trained with that of its pairs, and has learned little of any other."""
    for name, run in runs_on(config, backbone).items():
        trained = config.datasets[run.data].guidance if run.data else pairs_of(config, backbone).guidance
        for testset in _testsets(config):
            asked = sampling_of(config, backbone, testset).guidance
            if asked != trained:
                where = f"datasets.{run.data}" if run.data else "its pairs"
                return (
                    f"testsets.{testset}.guidance: {asked:g}, but {backbone}, which embeds it, is trained by {name} with that "
                    f"of {where}, {trained:g}; make them alike, for this model alone with models.{backbone}.tests.guidance"
                )
    return None


def _unguided(config: Config, backbone: str) -> str | None:
    """Classifier-free guidance has no part in training: trajectories that it bent are not those that the model learns on."""
    made = pairs_of(config, backbone).guidance
    for name, run in runs_on(config, backbone).items():
        if made > 1 and run.path == "stored" and not run.data:
            return (
                f"runs.{name}.path: stored follows the noise of the pairs, but {backbone} makes these with guidance {made:g} "
                "and is trained without; set pairs.guidance: 1, or another path"
            )
    return None


def _testsets(config: Config) -> list[str]:
    """The test sets that images are made for."""
    asked = chain.from_iterable(metric.testsets for metric in config.metrics.values())
    beside = [section.testset for section in (config.tuning, config.budget) if section]
    return list(dict.fromkeys([*asked, *beside]))
