"""The configuration: one typed schema, read from YAML, checked as a whole, and resolved for each run. No heavy imports."""

from pnapo.config.loading import load_config, validate
from pnapo.config.resolve import (
    as_json,
    data_folder,
    draw_seed,
    grid,
    label_table,
    networks,
    pairs_of,
    policies,
    resolve_run,
    runs_on,
    sampling_of,
    stops,
)
from pnapo.config.schema import Config

__all__ = [
    "Config",
    "as_json",
    "data_folder",
    "draw_seed",
    "grid",
    "label_table",
    "load_config",
    "networks",
    "pairs_of",
    "policies",
    "resolve_run",
    "runs_on",
    "sampling_of",
    "stops",
    "validate",
]
