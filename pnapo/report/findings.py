"""What a finished laboratory found, as Markdown for docs/findings.md: verdicts, all runs, regimes, paths, tuning, cost."""

from pathlib import Path

import pandas as pd

from pnapo.report.claims import interval
from pnapo.report.collect import over_seeds, read_csv
from pnapo.report.cost import in_words, spent
from pnapo.report.marks import put
from pnapo.report.runs import SUBJECT, ordered
from pnapo.report.tuning import end_of
from pnapo.tables.geometry import geometry_caption, geometry_grids
from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASE
from pnapo.tables.verdicts import ABOUT, UNDECIDED
from pnapo.tables.write import Cell, Grid, markdown

_TABLES = ("claims", "comparisons", "seeds", "regimes", "geometry", "tuning")


_DUST = 1e-12  # what rounding leaves of 0


def _signed(value: float, low: float, high: float, bold: bool = True) -> Cell:
    """A gain with its interval, bold where that excludes 0 (and `bold` allows it)."""
    return Cell(interval(value, low, high, sign=True), bold=bold and (low > _DUST or high < -_DUST))


def verdicts(claims: pd.DataFrame) -> tuple[list[Grid], str]:
    """Each claim with its verdict, effect and p, and how it was tested."""
    grids = []
    for (backbone, about), part in claims.groupby(["backbone", "about"], sort=False):
        body = []
        for row in part.to_dict("records"):
            p = "–" if pd.isna(row["p_adjusted"]) else f"{row['p_adjusted']:.2g}"
            effect = interval(*(float(row[name]) for name in ("value", "low", "high")))
            cells = [Cell(row["claim"]), Cell(row["verdict"], row["verdict"] != UNDECIDED), Cell(effect), Cell(p)]
            body.append([*cells, Cell(row["statistic"]), Cell(row["test"])])
        said = ", ".join(f"{count} {verdict}" for verdict, count in part["verdict"].value_counts().items())
        title = f"{ABOUT[about]}: {said}"
        header = ["claim", "verdict", "value", "p", "of what", "tested"]
        grids.append(Grid(header, body, title, label(str(backbone)), frozenset((0, 1, 4, 5))))
    return grids, (
        "Value with its 95 % interval; p against the border in the last column, adjusted for the number of claims on a "
        "backbone (Holm)."
    )


def gains(comparisons: pd.DataFrame, seeds: pd.DataFrame) -> tuple[list[Grid], str]:
    """All runs of every backbone: the mean gain over the base model by each metric of the first test set, then GenEval."""
    first = comparisons["testset"].iloc[0]
    over = comparisons[comparisons["opponent"] == BASE]
    over = over[(over["testset"] == first) | (over["metric"] == "geneval")]
    counted = seeds.groupby(["backbone", "run"])["seeds"].max()
    grids = []
    for backbone, part in over.groupby("backbone", sort=False):
        metrics = list(dict.fromkeys(part["metric"]))
        body = []
        for run in ordered(list(dict.fromkeys(part["run"]))):
            of_run, seeded = part[part["run"] == run].set_index("metric"), int(counted.get((backbone, run), 1))
            cells = [_signed(*of_run.loc[m, ["gain", "gain_low", "gain_high"]], seeded > 1) for m in metrics]
            body.append([Cell(label(run)), Cell(str(seeded)), *cells])
        grids.append(Grid(["run", "seeds", *map(label, metrics)], body, label(str(backbone))))
    counts = {name: f"{part['n'].max():,.0f}" for name, part in over.groupby("testset", sort=False)}
    n = ", ".join(f"{testset_label(str(name))}: {count}" for name, count in counts.items())
    caption = (
        f"Mean gain over the base model (number of prompts: {n}), with its 95 % interval over prompts and training seeds; "
        "bold where that excludes 0. With one seed it is over prompts alone, too narrow, and never bold. Not adjusted for the "
        "number of comparisons."
    )
    return grids, caption


def regimes(table: pd.DataFrame) -> tuple[list[Grid], str]:
    """What PNAPO gains over Diffusion-DPO where trajectories are more or less curved."""
    metrics = list(dict.fromkeys(table["metric"]))
    body = []
    for backbone, part in table.groupby("backbone", sort=False):
        rows = part.set_index("metric")
        cells = [_signed(*rows.loc[m, ["advantage", "low", "high"]]) for m in metrics]
        body.append([Cell(label(str(backbone))), Cell(f"{part['curvature'].iloc[0]:.3f}"), *cells])
    header = ["backbone", "curvature", *map(label, metrics)]
    caption = (
        f"{label(SUBJECT)} − Diffusion-DPO on each pair set. Curvature: RMS distance of the trajectory from the line to the "
        "stored noise, over the line's length. Intervals over prompts and training seeds."
    )
    return [Grid(header, body)], caption


def tuned(table: pd.DataFrame) -> tuple[list[Grid], str]:
    """What tuning chose, and whether at an end of what was tried."""
    grids = []
    for backbone, part in table.groupby("backbone", sort=False):
        body = []
        for run, tried in part.groupby("run", sort=False):
            best = tried[tried["chosen"].astype(str).str.lower() == "true"].iloc[0]
            cells = []
            for name in ("beta", "learning_rate", "step"):
                value, values = pd.to_numeric(best[name]), pd.to_numeric(tried[name]).dropna()
                end = end_of(value, values.tolist())
                cells.append(Cell("–" if pd.isna(value) else f"{value:g}{f' ({end})' if end else ''}"))
            body.append([Cell(label(str(run))), *cells])
        grids.append(Grid(["run", "β", "learning rate", "steps"], body, label(str(backbone))))
    return (
        grids,
        "What tuning chose by the mean HPS on validation prompts; in brackets where that was an end of what was tried.",
    )


def cost(logs: Path) -> str:
    """CPU-hours by stage."""
    stages = spent(logs)
    total, jobs = (sum(getattr(one, name) for one in stages.values()) for name in ("hours", "jobs"))
    parts = ", ".join(f"{stage} {in_words(one.hours)} ({one.jobs:,})" for stage, one in [*stages.items()][:5])
    return f"It took {in_words(total)} CPU-hours in {jobs:,} jobs; most of them, with the number of jobs: {parts}."


def findings(results: Path | str) -> str:
    """The generated part of docs/findings.md. Raises UserError if a table is missing: `make lab` first."""
    results = Path(results)
    tables = {name: read_csv(results / "tables" / f"{name}.csv") for name in _TABLES}
    parts = [
        ("What holds", verdicts(tables["claims"])),
        ("All runs", gains(over_seeds(tables["comparisons"]), tables["seeds"])),
        ("Where trajectories are more curved", regimes(tables["regimes"])),
        ("Paths and gradients", (geometry_grids(tables["geometry"]), geometry_caption(0.95))),
        ("Tuning", tuned(tables["tuning"])),
    ]
    text = "\n\n".join(f"## {title}\n\n{markdown(*part).strip()}" for title, part in parts)
    return f"{text}\n\n## Cost\n\n{cost(results / 'logs')}"


def update_findings(results: Path | str, page: Path | str) -> None:
    """Put the findings between the marks of a page. Raises UserError if a table or the marks are missing."""
    put(page, "findings", findings(results))
