"""How each run was tuned: its grid of β and learning rate by steps as a strip of cells, the chosen point marked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pnapo.report.collect import Results
from pnapo.report.runs import ordered, variants
from pnapo.tables.labels import label
from pnapo.tables.pivot import decimals
from pnapo.tables.write import show

SHADES = 8


@dataclass(frozen=True)
class Point:
    """One point of a grid: its shade (0 the run's worst … SHADES its best, None not tried) and what it is in words."""

    shade: int | None
    chosen: bool
    text: str


@dataclass(frozen=True)
class Strip:
    """A run's grid: one block a β, in it one row a learning rate and one column a number of steps."""

    run: str
    variant: bool
    chosen: list[str]  # β, learning rate, steps, score
    edge: str  # which settings were chosen at an end of their range, and which
    rates: list[str]
    blocks: list[tuple[str, list[list[Point]]]]
    description: str


def tuned_by(results: Results) -> str:
    """By what tuning chose, in words; nothing if no run is tuned."""
    tuning = results.config.tuning
    if tuning is None or "tuning" not in results.optional:
        return ""
    return f", by the mean {label(tuning.metric)} on the list {tuning.testset}"


def strips(results: Results, backbone: str) -> list[Strip]:
    """The grids of a backbone's runs, methods first; empty without the table."""
    table = results.optional.get("tuning")
    if table is None:
        return []
    table = table[table["backbone"] == backbone]
    names = ordered(list(dict.fromkeys(table["run"])))
    return [_strip(name, name in variants(names), table[table["run"] == name]) for name in names]


def end_of(value: float, tried: Sequence[float]) -> str:
    """ "lowest" or "highest" if a value that was chosen is that of several that were tried, else nothing."""
    if len(set(tried)) < 2:
        return ""
    return {min(tried): "lowest", max(tried): "highest"}.get(value, "")


def _strip(run: str, variant: bool, part: pd.DataFrame) -> Strip:
    scores = part["score"].to_numpy(np.float64)
    low, high = np.nanmin(scores), np.nanmax(scores)
    digits = decimals(pd.Series([low / 10]), pd.Series([high / 10])) if high > low else 3
    axes = {c: sorted(part[c].dropna().unique()) for c in ("beta", "learning_rate", "step")}
    betas = axes["beta"] or [float("nan")]  # a loss without β has one block
    blocks = []
    for beta in betas:
        rows = []
        for rate in axes["learning_rate"]:
            row = []
            for step in axes["step"]:
                here = part[(part["learning_rate"] == rate) & (part["step"] == step)]
                here = here[here["beta"] == beta] if beta == beta else here
                row.append(_point(here, low, high, digits))
            rows.append(row)
        blocks.append((f"{beta:g}" if beta == beta else "–", rows))
    best = part[part["chosen"]]
    chosen, edge = ["–"] * 4, []
    if len(best):
        one = best.iloc[0]
        chosen = [show(one["beta"], "g"), show(one["learning_rate"], "g"), show(one["step"], ",.0f")]
        chosen.append(f"{one['score']:.{digits}f}".replace("-", "−"))
        names = {"beta": "β", "learning_rate": "learning rate", "step": "steps"}
        ends = {name: end_of(one[c], axes[c]) for c, name in names.items()}
        edge = [f"{end} {name}" for name, end in ends.items() if end]
    text = f"{label(run)}: {len(part)} points, scores {low:.{digits}f} to {high:.{digits}f}"
    text += f"; chosen β {chosen[0]}, learning rate {chosen[1]}, {chosen[2]} steps, score {chosen[3]}"
    rates = [f"{rate:g}" for rate in axes["learning_rate"]]
    return Strip(label(run), variant, chosen, ", ".join(edge), rates, blocks, text)


def _point(here: pd.DataFrame, low: float, high: float, digits: int) -> Point:
    """One cell; `low` and `high` are the worst and best score of the run."""
    if here.empty or here["score"].isna().all():
        return Point(None, False, "not tried")
    row = here.iloc[0]
    share = (row["score"] - low) / (high - low) if high > low else 1.0
    text = f"β {show(row['beta'], 'g')}, learning rate {row['learning_rate']:g}, {row['step']:,.0f} steps: "
    return Point(round(SHADES * share), bool(row["chosen"]), text + f"{row['score']:.{digits}f}".replace("-", "−"))
