"""What each training run cost. Times differ from run to run, so this table is not byte-identical between two runs."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pnapo.artifacts import require_intact
from pnapo.errors import UserError

COLUMNS = (
    *("backbone", "run", "seed", "seconds", "cpu_hours", "gpu_hours", "published_gpu_hours"),
    *("pairs_seen", "peak_memory_mb"),
    *("forward_passes", "reference_passes", "shared_reference_passes"),
)
CAPTION = (
    "Cost of each training run: wall-clock seconds, CPU and GPU hours, pairs seen, peak memory, and forward passes, "
    "counted in samples: those of the policy, those of the frozen reference that the run made itself, and those it read "
    "from files that are made once for all runs of the same path and time sampling (their time is in no run's row, but in "
    "benchmarks/reference). Published GPU hours are of the authors' GPUs, empty where none is known. Ours are "
    "measured, so they differ between two runs of one workflow."
)
FORMATS = {
    **{"seed": "d", "seconds": ",.1f", "cpu_hours": ".4f", "gpu_hours": ".4f"},
    **{"published_gpu_hours": ".1f"},
    **{"pairs_seen": ",d", "peak_memory_mb": ",.0f", "forward_passes": ",d"},
    **{"reference_passes": ",d", "shared_reference_passes": ",d"},
}


def compute_table(folders: Iterable[Path | str], published: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row (COLUMNS) per folder R/runs/{backbone}/{run}-s{seed}, in the order given; `published` is of `read_published`.

    A file inside the folder may stand for it. Raises UserError for a folder of another name, or whose compute.json is
    missing, damaged or lacks a number.
    """
    rows, hours_of = [], _published_hours(published)
    for given in map(Path, folders):
        folder = given.parent if given.is_file() else given
        run, dash, seed = folder.name.rpartition("-s")
        if not dash or not seed.isdigit():
            raise UserError(f"{folder}: not a training run's folder; its name should be RUN-sSEED")
        path = folder / "compute.json"
        cost = require_intact(path, "cost")
        theirs = hours_of.get((folder.parent.name, run), math.nan)
        try:
            hours = [cost["cpu_seconds"] / 3600, cost["gpu_seconds"] / 3600]
            counts = [int(cost["pairs_seen"]), float(cost["peak_memory_mb"])]
            passes = [int(cost[f"{which}_passes"]) for which in ("forward", "reference", "shared_reference")]
            rows.append([folder.parent.name, run, int(seed), float(cost["seconds"]), *hours, theirs, *counts, *passes])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: needs a number for {error}; train the run again") from None
    return pd.DataFrame(rows, columns=COLUMNS)


def _published_hours(published: pd.DataFrame | None) -> dict[tuple[str, str], float]:
    """Published GPU hours by backbone and run."""
    if published is None:
        return {}
    found = published[published["metric"] == "gpu_hours"]
    return dict(zip(zip(found["backbone"], found["run"]), found["published"]))
