"""What a gain costs: gain over the base model at snapshots of training, by pairs seen and by forward passes."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pnapo.report.collect import Results
from pnapo.report.drawing import Plot
from pnapo.report.lab import judged_by
from pnapo.report.multiples import Line, Panel, multiples
from pnapo.report.runs import BASE_COLOR, colors_of, parent
from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASELINE

_COSTS: list[tuple[str, str, Callable[[pd.DataFrame], pd.Series]]] = [
    ("pairs", "pairs seen", lambda part: part["pairs_seen"]),
    ("passes", "forward passes of policy and reference", lambda part: part["policy_passes"] + part["reference_passes"]),
]


def budget_plots(results: Results, backbone: str, runs: Sequence[str], stem: str) -> list[Plot]:
    """One plot per kind of cost, a panel a run; none without the table.

    The grey line of a panel is the run that the other is a variant of, else Diffusion-DPO.
    """
    table = results.optional.get("budget")
    if table is None:
        return []
    known = table[table["backbone"] == backbone]
    metric, testset = _of_budget(results, known)
    known = known[(known["metric"] == metric) & (known["testset"] == testset)]
    colors, plots, among = colors_of(results.runs), [], list(dict.fromkeys(known["run"]))
    for kind, x_label, cost in _COSTS:
        curves = {run: _curve(known[known["run"] == run], cost, colors[run]) for run in among}
        panels, ends = [], []
        for run in runs:
            if run not in curves or not len(curves[run].x):
                continue
            other = (parent(run, among) if stem == "variants" else None) or BASELINE
            lines = [curves[run]]
            if other in curves and other != run and len(curves[other].x):
                lines.append(Line(curves[other].x, curves[other].y, BASE_COLOR, thin=True))
            panels.append(Panel(label(run), lines))
            ends.append(f"{label(run)} {curves[run].y[-1]:+.3g} at {curves[run].x[-1]:,.0f}")
        if panels:
            title = f"{label(metric)}: gain over the base model by {x_label} · {testset_label(testset)}"
            name = f"budget-{backbone}-{kind}-{stem}"
            svg = multiples(name, title, panels, x_label, f"gain in {label(metric)}", log=True)
            plots.append(Plot(name, svg, f"{title}, at the end: {'; '.join(ends)}"))
    return plots


def _of_budget(results: Results, table: pd.DataFrame) -> tuple[str, str]:
    """The metric and test set of the curves: those the runs are judged by, else that metric on another, else the first."""
    judged = judged_by(results, next(iter(results.methods)))
    pairs = list(zip(table["metric"], table["testset"]))
    return min(pairs, key=lambda pair: (pair != judged, pair[0] != judged[0]), default=judged)


def _curve(part: pd.DataFrame, cost: Callable[[pd.DataFrame], pd.Series], color: str) -> Line:
    """A run's gain with its band over a cost; what cost nothing has no place on a logarithmic axis."""
    part = part.assign(cost=cost(part)).sort_values("cost", kind="stable")
    part = part[part["cost"] > 0]
    columns = (part[c].to_numpy(np.float64) for c in ("cost", "gain", "gain_low", "gain_high"))
    x, y, low, high = columns
    return Line(x, y, color, low, high)
