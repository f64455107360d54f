"""The README's table of results: one row a run, from the main table, put between two marks."""

from pathlib import Path

import pandas as pd

from pnapo.report.collect import read_csv
from pnapo.report.marks import put
from pnapo.tables.labels import label, testset_label
from pnapo.tables.pivot import decimals
from pnapo.tables.scores import BASE
from pnapo.tables.write import Cell, Grid, markdown


def _cells(part: pd.DataFrame, runs: list[str]) -> list[Cell]:
    """Mean ± half interval of one metric for each run."""
    rows = part.set_index("run").loc[runs]
    digits = decimals(rows["ci_low"], rows["ci_high"])
    half = (rows["ci_high"] - rows["ci_low"]) / 2
    return [Cell(f"{m:.{digits}f} ± {h:.{digits}f}") for m, h in zip(rows["mean"], half)]


def _seeds(folder: Path, runs: set[str]) -> str:
    """How many training seeds the runs have (the base has none)."""
    seeds = read_csv(folder / "seeds.csv")
    counts = sorted(set(seeds.loc[seeds["run"].isin(runs - {BASE}), "seeds"])) or [1]
    if counts == [1]:
        return "one training seed"
    return f"{' to '.join(dict.fromkeys((str(counts[0]), str(counts[-1]))))} training seeds"


def results_table(results: Path | str) -> str:
    """A Markdown table of each backbone: the metrics of the first test set, then GenEval, without bold or verdict."""
    folder = Path(results) / "tables"
    main = read_csv(folder / "main.csv")
    first = main["testset"].iloc[0]
    shown = main[(main["testset"] == first) | (main["metric"] == "geneval")]
    grids = []
    for backbone, part in shown.groupby("backbone", sort=False):
        runs = list(dict.fromkeys(part["run"]))
        columns = list(dict.fromkeys(zip(part["testset"], part["metric"])))
        cells = [_cells(part[(part["testset"] == t) & (part["metric"] == m)], runs) for t, m in columns]
        rows = [[Cell(label(run)), *(column[i] for column in cells)] for i, run in enumerate(runs)]
        count = int(part.loc[part["testset"] == first, "n"].max())
        title = f"{label(str(backbone))}, {testset_label(first).lower()} (n = {count})"
        grids.append(Grid(["run", *(label(m) for _, m in columns)], rows, title))
    seeds = _seeds(folder, set(shown["run"]))
    caption = (
        f"Mean over prompts ± half of the 95 % bootstrap interval over prompts, {seeds}, the same prior noises for every run; "
        "results/tables/comparisons.md compares the runs image by image. The true utility is what this world's "
        "people really like; the rewards learned it from votes."
    )
    return markdown(grids, caption)


def update_readme(results: Path | str, readme: Path | str) -> None:
    """Put the table between the marks of a README. Raises UserError if they are missing."""
    put(readme, "results", results_table(results))
