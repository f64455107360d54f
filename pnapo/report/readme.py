"""The README's image grid, from the main table and the images alone (no configuration needed)."""

import re
from pathlib import Path

from pnapo.artifacts import atomic_path, read_table
from pnapo.artifacts.images import pngs_of
from pnapo.errors import UserError
from pnapo.report.collect import read_csv
from pnapo.report.images import evenly, grid, open_picture
from pnapo.tables.labels import label
from pnapo.tables.scores import BASE


def _first_policy(folder: Path, run: str) -> str:
    """The folder name of a run's lowest training seed. Raises UserError if the run has no images."""
    if run == BASE:
        return BASE
    seeds = [int(m[1]) for p in folder.iterdir() if (m := re.fullmatch(re.escape(run) + r"-s(\d+)", p.name))]
    if not seeds:
        raise UserError(f"{folder}: no images of run {run!r}; make them first")
    return f"{run}-s{min(seeds)}"


def readme_grid(
    results: Path | str, out: Path | str, backbone: str | None = None, testset: str | None = None, prompts: int = 6
) -> None:
    """Draw base and every run of the main table for evenly spaced prompts of a test set.

    Raises UserError if the tables, the test set or images are missing, or know no such backbone or test set.
    """
    results = Path(results)
    path = results / "tables" / "main.csv"
    main = read_csv(path)
    backbone, testset = backbone or main["backbone"].iloc[0], testset or main["testset"].iloc[0]
    rows = main[(main["backbone"] == backbone) & (main["testset"] == testset)]
    if rows.empty:
        raise UserError(f"{path}: no backbone {backbone!r} with test set {testset!r}")
    table = read_table(results / "testsets" / f"{testset}.parquet", ["prompt_id", "prompt"]).drop_duplicates(
        "prompt_id"
    )
    chosen = table.iloc[evenly(len(table), prompts)]
    ids, columns, names = chosen["prompt_id"].tolist(), [], []
    for run in dict.fromkeys(rows["run"]):
        folder = results / "images" / backbone
        pictures = pngs_of(folder / _first_policy(folder, run) / testset / "manifest.json", ids)
        columns.append([open_picture(pictures[i]) for i in ids])
        names.append(label(run))
    picture = grid(names, list(zip(chosen["prompt"], zip(*columns))), caption_width=150, across=2 if prompts > 3 else 1)
    with atomic_path(out) as temporary:
        picture.save(temporary)
