"""Training curves as CSV files, one for each run, for `dvc plots` and for whoever plots with other tools."""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pnapo.artifacts import write_csv
from pnapo.errors import UserError

LOG = "train_log.jsonl"


def write_curves(runs: Iterable[Path], out: Path) -> None:
    """Write the log of each folder R/runs/{backbone}/{policy} (or of a file's folder) as out/{backbone}-{policy}.csv.

    Columns as logged: step, loss, implicit_accuracy, margin, errors, β, gradient norm, learning rate. Raises UserError that
    names a missing or damaged log.
    """
    for given in runs:
        folder = given.parent if given.is_file() else given
        path = folder / LOG
        try:
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; train the run again") from None
        except ValueError as error:
            raise UserError(f"{path}: damaged ({error}); train the run again") from None
        write_csv(out / f"{folder.parent.name}-{folder.name}.csv", pd.DataFrame(rows))
