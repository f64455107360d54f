"""The whole of config.yaml, section by section, in the order of the reference."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Name, Section
from pnapo.config.schema.lab import Budget, Claims, Lab, Tuning
from pnapo.config.schema.measuring import Metric, Statistics, TestSet
from pnapo.config.schema.models import Download, Model
from pnapo.config.schema.pairs import Dataset, Inversion, Pairs, Truncation
from pnapo.config.schema.prompts import Prompts
from pnapo.config.schema.rewards import Preference, Reward
from pnapo.config.schema.runs import Run
from pnapo.config.schema.watch import Watch


class Config(Section):
    """The whole of config.yaml."""

    name: str = Field("world", description="A title for the report.")
    seed: int = Field(
        0,
        ge=0,
        description="With a training seed added: seed of its draws (time, fresh noise), which runs share.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models run; auto: cuda if there is one.")
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = Field(
        "none",
        description="Experiment tracker that also receives the training log; its package has to be installed. "
        "It changes no result.",
    )
    results: str = Field("results", description="Folder of everything that is made.")
    backbones: list[Name] = Field(min_length=1, description="Names from `models` to run.")
    models: dict[Name, Model]
    prompts: Prompts
    pairs: Pairs = Pairs()
    datasets: dict[Name, Dataset] = Field({})
    inversion: Inversion = Inversion()
    truncation: Truncation = Truncation()
    rewards: dict[Name, Reward]
    preferences: dict[Name, Preference] = Field({})
    testsets: dict[Name, TestSet]
    metrics: dict[Name, Metric]
    runs: dict[Name, Run]
    tuning: Tuning | None = None
    budget: Budget | None = None
    watch: Watch = Watch()
    lab: Lab = Lab()
    claims: Claims | None = None
    statistics: Statistics = Statistics()
    downloads: dict[Name, Download] = Field({})
    published: str | None = Field(None, description="A CSV of published values, shown beside ours.")
