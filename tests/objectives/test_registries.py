from typing import get_args

from pnapo.config import schema
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS
from pnapo.objectives.schedules import SCHEDULES
from pnapo.objectives.weights import WEIGHTS


def test_the_schema_names_exactly_the_implemented_methods():
    assert set(PATHS) == set(get_args(schema.PathName))
    assert set(LOSSES) == set(get_args(schema.LossName))
    assert set(WEIGHTS) == set(get_args(schema.WeightName))
    assert set(SCHEDULES) == set(get_args(schema.ScheduleName))
