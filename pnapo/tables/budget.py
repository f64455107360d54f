"""Gain over the base at the snapshots of training: how much each method gets from how much compute."""

from pathlib import Path

import pandas as pd

from pnapo.tables.labels import label, testset_label
from pnapo.tables.ratio import compute_ratio
from pnapo.tables.scores import BASELINE
from pnapo.tables.snapshots import Curves, gains_along
from pnapo.tables.statistics import crossed_effect
from pnapo.tables.write import Cell, Grid

COLUMNS = (
    *("backbone", "run", "testset", "metric", "step", "pairs_seen", "policy_passes", "reference_passes"),
    *("n", "gain", "gain_low", "gain_high", "between_seed_sd", "ratio", "ratio_low", "ratio_high"),
)


def budget_table(root: Path | str, curves: Curves) -> pd.DataFrame:
    """One row (COLUMNS) per backbone, run, metric and snapshot, from the scores below `root`.

    `gain` is the mean difference from the base on the same prompts and noises, with an interval over prompts and training
    seeds. Passes count samples; making the pairs is not among them, as all methods share that. The last row of a run has the
    ratio of compute at which it first reaches Diffusion-DPO's best (`compute_ratio`), where that run has snapshots.
    """
    rows = []
    for backbone in dict.fromkeys(backbone for curve in curves.runs.values() for backbone in curve.backbones):
        for run, curve in curves.on(backbone).items():
            for metric in curves.metrics:
                last = [None] * 3
                if BASELINE in curves.on(backbone) and run != BASELINE:
                    last = compute_ratio(root, curves, backbone, run, BASELINE, metric)
                for step, gains in zip(curve.steps, gains_along(root, curves, backbone, run, metric), strict=True):
                    value, low, high, _ = crossed_effect(gains, curves.statistics.confidence)
                    seeds = gains.mean(1)
                    spread = float(seeds.std(ddof=1)) if len(seeds) > 1 else float("nan")
                    which = (backbone, run, curves.testset, metric, step, step * curve.pairs, *curve.passes(step))
                    found = (gains.shape[1], value, low, high, spread)
                    rows.append((*which, *found, *(last if step == curve.steps[-1] else [None] * 3)))
    return pd.DataFrame(rows, columns=COLUMNS)


def budget_grids(table: pd.DataFrame) -> list[Grid]:
    """Per backbone and metric: runs down, steps across."""
    grids = []
    for (backbone, testset, metric), part in table.groupby(["backbone", "testset", "metric"], sort=False):
        steps = sorted(set(part["step"]))
        body = []
        for run, rows in part.groupby("run", sort=False):
            found = rows.set_index("step")
            texts = [
                f"{found.loc[s, 'gain']:+.3g} ±{(found.loc[s, 'gain_high'] - found.loc[s, 'gain_low']) / 2:.2g}"
                if s in found.index
                else "–"
                for s in steps
            ]
            value, low, high = found.iloc[-1][["ratio", "ratio_low", "ratio_high"]]
            ratio = "–" if pd.isna(value) else f"{value:.3g} [{low:.3g}, {high:.3g}]".replace("inf", "∞")
            body.append([Cell(label(str(run))), *map(Cell, texts), Cell(ratio)])
        title = f"{label(str(metric))}, {testset_label(str(testset))} (n = {part['n'].max():,})"
        header = ["run", *(f"{step} steps" for step in steps), f"compute of {label(BASELINE)}'s best over its own"]
        grids.append(Grid(header, body, title, label(str(backbone))))
    return grids


def budget_caption(confidence: float) -> str:
    """What the numbers of budget.md and budget.tex are."""
    return (
        f"Gain over the base after so many steps, ± half of its {100 * confidence:g} % interval over prompts and training "
        "seeds. β and learning rate are tuned for the whole of training. Last column: forward passes at Diffusion-DPO's best "
        "snapshot over those at which the run first reaches that gain (0: never), as closely as the snapshots lie. Pairs and "
        "forward passes are in budget.csv."
    )
