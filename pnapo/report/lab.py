"""Plots of all runs at once: their gains, whether they hack the reward; and of the paths that explain them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pnapo.report.collect import Results, trained_on
from pnapo.report.drawing import Plot
from pnapo.report.intervals import Point, Row, forest, scatter
from pnapo.report.multiples import histograms
from pnapo.report.runs import PALETTE, SUBJECT, colors_of, methods
from pnapo.tables.labels import label, testset_label
from pnapo.tables.pivot import decimals
from pnapo.tables.scores import BASE, BASELINE

_QUADRANTS = ("both rise", "reward rises, utility falls: hacking", "both fall", "utility rises, reward falls")


def judged_by(results: Results, run: str) -> tuple[str, str]:
    """The metric that a run is judged by, and the first test set that has it.

    The true utility if it is measured, else the reward that the run was trained on, else the first metric.
    """
    metrics = results.config.metrics
    found = [m for m in metrics if metrics[m].kind == "utility"] + trained_on(results.config, results.methods[run])
    metric = (found or list(metrics))[0]
    return metric, next(t for t in results.testsets if t in metrics[metric].testsets)


def _gains(results: Results, backbone: str, testset: str, metric: str) -> pd.DataFrame:
    """The comparisons of all runs with the base model, by run."""
    table = results.comparisons
    chosen = (table["backbone"] == backbone) & (table["opponent"] == BASE)
    return table[chosen & (table["testset"] == testset) & (table["metric"] == metric)].set_index("run")


def _unchanged(gains: pd.DataFrame) -> list[str]:
    """The runs whose images are the base model's, such as those for a guidance that tests lack."""
    return list(gains.index[(gains[["gain", "gain_low", "gain_high"]] == 0).all(axis=1)])


def _seeds(results: Results, backbone: str, testset: str, metric: str) -> dict[str, tuple[float, ...]]:
    """The gain of each training seed of a run with several: all of two or three, of more the lowest and highest."""
    key = {"backbone": backbone, "testset": testset, "metric": metric}

    def rows(table: pd.DataFrame) -> pd.DataFrame:
        return table[np.logical_and.reduce([table[k] == v for k, v in key.items()])].set_index("run")

    base, found = rows(results.main).loc[BASE, "mean"], {}
    for run, row in rows(results.seeds).iterrows():
        low, high = row["lowest"] - base, row["highest"] - base
        if row["seeds"] > 1:
            middle = [3 * (row["mean"] - base) - low - high] if row["seeds"] == 3 else []
            found[str(run)] = (low, *middle, high)
    return found


def forest_plot(results: Results, backbone: str) -> Plot:
    """The gain of every run over the base model, sorted, with intervals and the spread of training seeds."""
    metric, testset = judged_by(results, next(iter(results.methods)))
    gains, seeds = _gains(results, backbone, testset, metric), _seeds(results, backbone, testset, metric)
    same = _unchanged(gains)
    gains, unchanged = gains.drop(index=same), list(map(label, same))
    colors, strong = colors_of(results.runs), set(methods(results.runs))
    places = decimals(gains["gain_low"], gains["gain_high"])
    rows = []
    for run, r in gains.sort_values("gain", ascending=False, kind="stable").iterrows():
        text = f"{r['gain']:+.{places}f} [{r['gain_low']:+.{places}f}, {r['gain_high']:+.{places}f}]".replace("-", "−")
        ends = (r["gain"], r["gain_low"], r["gain_high"])
        rows.append(Row(label(str(run)), colors[str(run)], *ends, text, seeds.get(str(run), ()), run in strong))
    rule = (gains.loc[BASELINE, "gain"], label(BASELINE)) if BASELINE in gains.index else None
    title = f"{label(metric)}: gain over the base model · {testset_label(testset)}"
    name = f"forest-{backbone}"
    text = f"{title}, sorted: {'; '.join(f'{row.label} {row.text}' for row in rows)}"
    left_out = f"; images as the base's, left out: {', '.join(unchanged)}" if unchanged else ""
    return Plot(name, forest(name, title, rows, f"gain in {label(metric)}{left_out}", rule), text + left_out)


def hacking_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """For each reward that runs were trained on: its gain against the gain in true utility, a point a run."""
    metrics = results.config.metrics
    utility = next((m for m in metrics if metrics[m].kind == "utility"), None)
    groups: dict[str, list[str]] = {}
    for run in results.methods_on(backbone):
        for metric in trained_on(results.config, results.methods[run]):
            groups.setdefault(metric, []).append(run)
    colors, strong = colors_of(results.runs), set(methods(results.runs))
    for metric, runs in groups.items():
        both = [
            t for t in results.testsets if utility and t in metrics[metric].testsets and t in metrics[utility].testsets
        ]
        if not both:
            continue
        x, y = (_gains(results, backbone, both[0], m) for m in (metric, utility))
        if not (runs := [run for run in runs if run not in _unchanged(x)]):
            continue
        ends = ["gain_low", "gain", "gain_high"]
        points = [
            Point(label(run), colors[run], tuple(x.loc[run, ends]), tuple(y.loc[run, ends]), run in strong)
            for run in runs
        ]
        name, title = f"hacking-{backbone}-{metric}", f"Reward and true utility · {testset_label(both[0])}"
        axes = (f"gain in {label(metric)}, the training reward", f"gain in {label(utility)}")
        down = [p.label for p in points if p.x[0] > 0 and p.y[2] < 0]
        text = f"{title}. Reward rose while utility fell: {', '.join(down) or 'no run'}. " + "; ".join(
            f"{p.label} {p.x[1]:+.3g}, {p.y[1]:+.3g}" for p in points
        )
        yield Plot(name, scatter(name, title, points, *axes, _QUADRANTS), text)


def path_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """The reference's error on each path, over samples and times."""
    measured = results.geometry.get(backbone)
    if measured is None or not len(measured):
        return
    parts = {path: part["error"].to_numpy(np.float64) for path, part in measured.groupby("path", sort=False)}
    values = {label(str(path)): found[np.isfinite(found)] for path, found in parts.items()}
    values = {path: found for path, found in values.items() if len(found)}
    if values:
        name, title = f"error-{backbone}", "The reference's error on each path, over samples and times"
        medians = ", ".join(f"{path} {np.median(found):.3g}" for path, found in values.items())
        svg = histograms(name, title, values, "mean squared error of the velocity", "% of the measurements")
        yield Plot(name, svg, f"{title}, medians: {medians}")


def regimes_plot(results: Results) -> Plot | None:
    """How curved the trajectories are against what PNAPO gains over Diffusion-DPO, a point a regime; None below two."""
    table = results.optional.get("regimes")
    if table is None:
        return None
    metric, _ = judged_by(results, next(iter(results.methods)))
    table = table[table["metric"] == metric]
    if len(table) < 2:
        return None
    points = [
        Point(
            label(row.backbone),
            PALETTE[i % len(PALETTE)],
            (row.curvature_low, row.curvature, row.curvature_high),
            (row.low, row.advantage, row.high),
        )
        for i, row in enumerate(table.itertuples())
    ]
    title = f"What {label(SUBJECT)} gains over {label(BASELINE)}, by the curvature of the trajectories"
    x_label = "distance of the stored path from the trajectory, relative to its length"
    each = "; ".join(f"{p.label}: {p.x[1]:.3g}, {p.y[1]:+.3g} [{p.y[0]:+.3g}, {p.y[2]:+.3g}]" for p in points)
    svg = scatter("regimes", title, points, x_label, f"difference of gains in {label(metric)}")
    return Plot("regimes", svg, f"{title}. {each}")
