"""Curves over training: what the log of each run says, and whether a run moves away from winner and loser alike."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pnapo.report import figures
from pnapo.report.collect import Results
from pnapo.report.drawing import Plot
from pnapo.report.multiples import Line, Panel, multiples
from pnapo.report.runs import BASE_COLOR, PALETTE, colors_of, focus_on
from pnapo.tables.labels import label

_POINTS = 240  # points of a curve
_POINTS_SMALL = 60  # of one in a small panel
WINNER, LOSER, MARGIN = PALETTE[0], PALETTE[1], BASE_COLOR


def _pooled(logs: list[pd.DataFrame], column: str, points: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Steps and a column's running mean (a twentieth of the steps), averaged over seeds and thinned out."""
    if any(column not in log for log in logs):
        return np.empty(0), np.empty(0)
    values = pd.concat([log.set_index("step")[column] for log in logs], axis=1).mean(axis=1)
    x, y = values.index.to_numpy(np.float64), values.to_numpy(np.float64)
    if not np.isfinite(y).any():
        return np.empty(0), np.empty(0)
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), points)).round().astype(int))
    return x[keep], figures.smooth(y, len(y) // 20)[keep]


def training_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """Loss (one plot per kind of loss), implicit accuracy, margin, errors of winner and loser, β and gradient norm.

    Of many runs only those shown first, and their errors in `growth_plot` alone.
    """
    here, colors = results.methods_on(backbone), colors_of(results.runs)
    shown = focus_on(results.runs, list(here))
    losses = list(dict.fromkeys(results.methods[name].loss for name in shown))
    log2 = (math.log(2), "log 2: no preference learned")
    panels = [
        ("implicit-accuracy", "Implicit accuracy", "implicit_accuracy", None, (0.5, "chance")),
        ("margin", "Margin", "margin", None, (0.0, "reference")),
        ("beta", "Mean β of a step", "beta_eff", None, None),
        ("gradient", "Gradient norm before clipping", "grad_norm", None, None),
    ]
    if len(shown) == len(here):
        panels += [
            ("error-winner", "Error on winners, reference dashed", "e_w", "e_ref_w", None),
            ("error-loser", "Error on losers, reference dashed", "e_l", "e_ref_l", None),
        ]
    panels += [(f"loss-{kind}", f"Loss ({kind})", "loss", None, log2 if kind == "dpo" else None) for kind in losses]
    for stem, title, column, reference, rule in panels:
        lines = []
        for name in shown:
            if stem.startswith("loss-") and stem != f"loss-{results.methods[name].loss}":
                continue
            logs = results.logs[backbone, name]
            if reference and (dashed := _pooled(logs, reference))[0].size:
                lines.append(figures.Curve("", colors[name], *dashed, dashed=True))
            if (solid := _pooled(logs, column))[0].size:
                lines.append(figures.Curve(label(name), colors[name], *solid))
        if lines:
            ends = ", ".join(f"{line.label} ends at {line.y[-1]:.3g}" for line in lines if line.label)
            name = f"training-{backbone}-{stem}"
            yield Plot(name, figures.curves(name, title, lines, rule), f"{title} over training: {ends}")


def growth_plot(results: Results, backbone: str, runs: Sequence[str], stem: str) -> Plot | None:
    """Winner and loser error above the reference's, in % of its mean error, a panel a run; None if no run logs both.

    Where both lines rise the policy moves away from both images, the known failure of DPO (methods.md A13); the shaded gap
    between them is the margin.
    """
    panels, ends = [], []
    for name in (run for run in runs if run in results.methods_on(backbone)):
        logs, sides = results.logs[backbone, name], []
        for side, color in (("w", WINNER), ("l", LOSER)):
            own, reference = f"e_{side}", f"e_ref_{side}"
            if not all({own, reference} <= set(log.columns) for log in logs):
                continue
            grown = [log.assign(grown=100 * (log[own] - log[reference]) / log[reference].mean()) for log in logs]
            x, y = _pooled(grown, "grown", _POINTS_SMALL)
            if x.size:
                sides.append(Line(x, y, color))
        if len(sides) == 2:
            panels.append(Panel(label(name), sides, fill=MARGIN))
            ends.append(f"{label(name)} winner {sides[0].y[-1]:+.2g} %, loser {sides[1].y[-1]:+.2g} %")
    if not panels:
        return None
    panels[0] = replace(panels[0], key=(("winner", WINNER), ("loser", LOSER)))
    name, title = f"growth-{backbone}-{stem}", "Errors of winner and loser above the reference's"
    plot = multiples(name, title, panels, "optimizer step", "% of the reference's error")
    return Plot(name, plot, f"{title}, at the end of training: {'; '.join(ends)}")
