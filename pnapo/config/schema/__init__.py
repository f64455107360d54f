"""The schema of config.yaml: every setting, its type, range, default and meaning. The single source of every default.

`docs/configuration.md` and `config/schema.json` are generated from these files (`pnapo config docs`); a test fails when
they drift. Names are imported from here: `from pnapo.config.schema import Run`.
"""

from pnapo.config.schema.base import Factor, Name, Positive, Probability, Section
from pnapo.config.schema.config import Config
from pnapo.config.schema.lab import Budget, Claims, Lab, Tuning
from pnapo.config.schema.measuring import Mask2Former, Metric, Rules, Statistics, TestSet
from pnapo.config.schema.models import Download, Model, Sampling, Testing
from pnapo.config.schema.pairs import Dataset, Inversion, Pairs, Truncation
from pnapo.config.schema.prompts import Clusters, NearDuplicates, Prompts, Safety, Selection, Semantic, Source
from pnapo.config.schema.rewards import GIVEN, Preference, Reward
from pnapo.config.schema.runs import WITHOUT_BETA, LossName, Overrides, PathName, Run, ScheduleName, WeightName
from pnapo.config.schema.watch import Watch

__all__ = [
    "GIVEN",
    "WITHOUT_BETA",
    "Budget",
    "Claims",
    "Clusters",
    "Config",
    "Dataset",
    "Download",
    "Factor",
    "Inversion",
    "Lab",
    "LossName",
    "Mask2Former",
    "Metric",
    "Model",
    "Name",
    "NearDuplicates",
    "Overrides",
    "Pairs",
    "PathName",
    "Positive",
    "Preference",
    "Probability",
    "Prompts",
    "Reward",
    "Rules",
    "Run",
    "Safety",
    "Sampling",
    "ScheduleName",
    "Section",
    "Selection",
    "Semantic",
    "Source",
    "Statistics",
    "TestSet",
    "Testing",
    "Truncation",
    "Tuning",
    "Watch",
    "WeightName",
]
