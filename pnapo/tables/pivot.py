"""The main table for people: per backbone and test set, runs down, metrics across, the best of each column in bold."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASELINE
from pnapo.tables.write import Cell, Grid


def decimals(low: pd.Series, high: pd.Series) -> int:
    """Digits after the point that show half the interval's median width with two significant digits, 1 to 6."""
    half = float(((high - low) / 2).median())
    return min(6, max(1, 1 - math.floor(math.log10(half)))) if half > 0 else 3


def best(texts: list[str], values: list[float]) -> list[bool]:
    """Which texts show the largest value; equal texts are equally best. None if there is nothing to compare."""
    if len(values) < 2:
        return [False] * len(values)
    top = texts[values.index(max(values))]
    return [t == top for t in texts]


def _column(part: pd.DataFrame, runs: list[str]) -> list[Cell]:
    """Mean ± half the interval of each run by one metric."""
    part = part.set_index("run").loc[runs]
    digits = decimals(part["ci_low"], part["ci_high"])
    means = [f"{m:.{digits}f}" for m in part["mean"]]
    half = [f"{(h - low) / 2:.{digits}f}" for low, h in zip(part["ci_low"], part["ci_high"])]
    bold = best(means, list(part["mean"]))
    return [Cell(f"{m} ±{h}", b) for m, h, b in zip(means, half, bold)]


def _published(part: pd.DataFrame, run: str, metrics: list[str]) -> list[Cell] | None:
    """A row of published values below a run, if there are any."""
    values = part[part["run"] == run].set_index("metric")["published"]
    if values.isna().all():
        return None
    return [Cell("  published"), *(Cell("–" if math.isnan(values[m]) else f"{values[m]:.6g}") for m in metrics)]


def _rates(part: pd.DataFrame, run: str, metrics: list[str], against_dpo: bool) -> list[Cell]:
    """A row of win rates in %, against the base and Diffusion-DPO."""
    rows = part[part["run"] == run].set_index("metric")
    columns = ["win_vs_base", "win_vs_dpo"] if against_dpo else ["win_vs_base"]
    cells = []
    for metric in metrics:
        rates = [rows.loc[metric, c] for c in columns]
        cells.append(Cell(" / ".join("–" if math.isnan(r) else f"{100 * r:.1f}" for r in rates)))
    return cells


def main_grids(main: pd.DataFrame) -> list[Grid]:
    """The grids of main.md and main.tex: means with intervals, then win rates, for each backbone and test set."""
    grids = []
    for (backbone, testset), part in main.groupby(["backbone", "testset"], sort=False):
        runs, metrics = list(dict.fromkeys(part["run"])), list(dict.fromkeys(part["metric"]))
        header = ["run", *(label(m) for m in metrics)]
        columns = [_column(part[part["metric"] == m], runs) for m in metrics]
        rows = []
        for i, run in enumerate(runs):
            rows.append([Cell(label(run)), *(column[i] for column in columns)])
            if published := _published(part, run, metrics):
                rows.append(published)
        block, title = label(str(backbone)), f"{testset_label(str(testset))} (n = {part['n'].max():,})"
        grids.append(Grid(header, rows, title, block))
        against_dpo = BASELINE in runs and len(runs) > 2
        opponents = f"base / {label(BASELINE)}" if against_dpo else "base"
        rates = [[Cell(label(r)), *_rates(part, r, metrics, against_dpo)] for r in runs[1:]]
        if rates:
            grids.append(Grid(header, rates, f"{title}: win rate in % against {opponents}", block))
    return grids


def scored_by(networks: Mapping[str, str]) -> str:
    """Which network stands behind each metric, in a sentence; nothing if there is none."""
    told = "; ".join(f"{label(metric)}, {network}" for metric, network in networks.items())
    return f"Scored by: {told}." if told else ""


def main_caption(confidence: float, networks: Mapping[str, str], metrics: Iterable[str] = ()) -> str:
    """What the numbers of main.md and main.tex are, and which networks gave them."""
    detector = "GenEval-HF is by another detector than GenEval's own: its published values are not comparable. "
    text = (
        f"Mean over prompts ± half of its {100 * confidence:g} % bootstrap interval (prompts resampled; images and "
        "training seeds of a prompt averaged first); best of each column in bold; a win is counted on the same prompt "
        "and noise, ties ½. GenEval: unweighted mean of its tasks. "
        f"{detector if any(name.startswith('geneval_hf') for name in metrics) else ''}"
        "Medians and exact intervals are in main.csv, gains "
        "with their intervals and sign tests in comparisons.csv, the spread over training seeds in seeds.csv. "
        "Published values are the authors' (rewards: probably medians), on their own models, settings and test lists."
    )
    return f"{text} {scored_by(networks)}".strip()
