"""Training curves as CSV files, one for each run, for `dvc plots` and for whoever plots with other tools."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pnapo.artifacts import require_intact, write_csv, write_listing

LOG = "train_log.jsonl"


def write_curves(runs: Iterable[Path], out: Path, listing: Path) -> None:
    """Write the log of each folder R/runs/{backbone}/{policy} (or of a file's folder) as out/{backbone}-{policy}.csv.

    `listing` is their manifest. Columns as logged: step, loss, implicit_accuracy, margin, errors, β, gradient norm, learning
    rate. Raises UserError that names a missing or damaged log.
    """
    found = {}  # of all runs, before anything is written
    for given in runs:
        folder = given.parent if given.is_file() else given
        require_intact(folder / "manifest.json", "checkpoint", only=[LOG])
        rows = [json.loads(line) for line in (folder / LOG).read_text("utf-8").splitlines()]
        found[f"{folder.parent.name}-{folder.name}.csv"] = pd.DataFrame(rows)
    for name, table in found.items():
        write_csv(out / name, table)
    write_listing(listing, "curves", [os.path.relpath(out / name, listing.parent) for name in found])
