"""What tuning tried and chose: β, learning rate and step of each run, by the mean score on validation prompts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pnapo.artifacts import read_record, read_table
from pnapo.errors import UserError
from pnapo.tables.labels import label
from pnapo.tables.write import Cell, Grid, show

COLUMNS = ("backbone", "run", "beta", "learning_rate", "step", "score", "chosen")


def choose(files: Sequence[Path], points: Mapping[str, Mapping[str, float]], steps: Sequence[int]) -> dict[str, Any]:
    """The point and step of the highest mean score; of equal ones the first, with the fewest steps.

    `files` are score files of every point at every step, in that order. The result has "beta", "learning_rate", "step" and
    "score", and under "tried" the same of all. Raises UserError if a file holds no scores.
    """
    tried = []
    where = [(settings, step) for settings in points.values() for step in steps]
    for (settings, step), file in zip(where, files, strict=True):
        scores = read_table(file, ["score"])["score"]
        if not len(scores) or scores.isna().any():
            raise UserError(f"{file}: lacks scores; score the images again")
        tried.append({**settings, "step": step, "score": float(scores.mean())})
    best = max(tried, key=lambda point: (point["score"], -point["step"]))
    return {**best, "tried": tried}


def tuning_table(files: Iterable[Path]) -> pd.DataFrame:
    """One row (COLUMNS) per point and step of each choice R/tuning/{backbone}/{run}.json."""
    rows = []
    for file in files:
        choice = read_record(file)
        best = {name: value for name, value in choice.items() if name != "tried"}
        rows += [
            {"backbone": file.parent.name, "run": file.stem, **point, "chosen": point == best}
            for point in choice["tried"]
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def tuning_grids(table: pd.DataFrame) -> list[Grid]:
    """Per backbone: what was chosen, and how much it depends on the choice."""
    grids = []
    for backbone, part in table.groupby("backbone", sort=False):
        body = []
        for run, tried in part.groupby("run", sort=False):
            best, scores = tried[tried["chosen"]].iloc[0], tried["score"]
            cells = [label(str(run)), show(best["beta"], "g"), f"{best['learning_rate']:.2g}", f"{best['step']:d}"]
            body.append(
                [Cell(t) for t in (*cells, f"{best['score']:.4g}", f"{scores.median():.4g}", f"{scores.min():.4g}")]
            )
        header = ["run", "β", "learning rate", "steps", "best score", "median", "worst"]
        grids.append(Grid(header, body, label(str(backbone))))
    return grids


CAPTION = (
    "What tuning chose for each run: the point of its grid, β × learning rate × steps, with the highest mean score on "
    "validation prompts. All grids have one size. Median and worst are over the grid: how much depends on the choice."
)
