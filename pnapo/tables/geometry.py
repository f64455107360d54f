"""The paths beside each other: how far from the model's trajectory, how wrong the reference on them, how noisy the gradient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import read_record, read_table
from pnapo.config.schema import Statistics
from pnapo.objectives.paths import PATHS
from pnapo.tables.labels import label
from pnapo.tables.statistics import mean_interval
from pnapo.tables.write import Cell, Grid

MEASURES = ("distance", "error")
COLUMNS = (
    "backbone",
    "path",
    "prompts",
    *(f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")),
    *("pairs", "gradient_noise", "gradient_noise_low", "gradient_noise_high", "gradient_signal"),
    *("pairs_needed", "pairs_needed_low", "pairs_needed_high"),
)


def by_prompt(folder: Path) -> pd.DataFrame:
    """`distance` over the line's length, and `error`, from geometry.parquet in a folder: means by path and prompt, sorted."""
    measured = read_table(folder / "geometry.parquet", ["prompt_id", "path", "distance", "error", "length"])
    measured["distance"] /= measured["length"]
    return measured.groupby(["path", "prompt_id"])[list(MEASURES)].mean()


def geometry_table(folders: Sequence[Path], statistics: Statistics) -> pd.DataFrame:
    """One row (COLUMNS) per backbone and path, from geometry.parquet and gradients.json in each folder.

    `distance` is the RMS between path and trajectory over the RMS of xT − x0, `error` the reference's e on the path; means over
    prompts (of samples and times first) with bootstrap intervals. `gradient_noise` is the trace of the gradient's covariance
    over pairs, `pairs_needed` the number of pairs whose mean gradient has a signal-to-noise ratio of 1; empty where that is
    infinite, since no signal was found. Their intervals are the jackknife's.
    """
    rows = []
    for folder in folders:
        measured = by_prompt(folder)
        gradients = read_record(folder / "gradients.json")
        for path in (name for name in PATHS if name in gradients):
            numbers = gradients[path]
            part = measured[measured.index.get_level_values("path") == path]
            row = {"backbone": folder.name, "path": path, "prompts": len(part)}
            for measure in MEASURES if len(part) else ():
                ends = (measure, f"{measure}_low", f"{measure}_high")
                row |= dict(zip(ends, mean_interval(part[measure].to_numpy(), statistics)))
            row |= {"pairs": numbers["n"], "gradient_signal": numbers["signal"]}
            row |= {f"gradient_{name}": numbers[name] for name in ("noise", "noise_low", "noise_high")}
            needed = (numbers.get(name, np.nan) for name in ("pairs", "low", "high"))
            rows.append(row | dict(zip(("pairs_needed", "pairs_needed_low", "pairs_needed_high"), needed)))
    return pd.DataFrame(rows, columns=COLUMNS)


def geometry_grids(table: pd.DataFrame) -> list[Grid]:
    """Per backbone: paths down."""
    grids = []
    for backbone, part in table.groupby("backbone", sort=False):
        body = []
        for row in part.to_dict("records"):
            cells = [label(row["path"])]
            for measure in MEASURES:
                low, high = row[f"{measure}_low"], row[f"{measure}_high"]
                cells.append("–" if np.isnan(low) else f"{row[measure]:.3f} [{low:.3f}, {high:.3f}]")
            noise, low, high = (row[f"gradient_noise{end}"] for end in ("", "_low", "_high"))
            cells.append(f"{noise:.3g} [{low:.3g}, {high:.3g}]")
            value, low, high = (row[f"pairs_needed{end}"] for end in ("", "_low", "_high"))
            ends = ", ".join("∞" if np.isnan(end) else f"{end:.0f}" for end in (low, high))
            needed = f"{'∞' if np.isnan(value) else f'{value:.0f}'} [{ends}]"
            body.append([Cell(text) for text in (*cells, needed)])
        header = [
            "path",
            "distance from the trajectory",
            "reference's error",
            "gradient's variance",
            "pairs for a signal",
        ]
        grids.append(Grid(header, body, label(str(backbone))))
    return grids


def geometry_caption(confidence: float) -> str:
    """What the table shows."""
    return (
        "Paths at the start of training. Distance: RMS between path and the model's own trajectory over the RMS of xT − x0. "
        "Error: the reference's mean squared error on the path. Variance: of the gradient of DPO's loss over β on one pair, "
        "summed over the weights of the adapter. Pairs: how many pairs' mean gradient has a signal-to-noise ratio of 1. "
        f"Brackets: {confidence:.0%} intervals (bootstrap over prompts), and 95 % of the last two (jackknife over pairs)."
    )
