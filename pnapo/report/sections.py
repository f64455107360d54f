"""From results to what the page shows: plots of scores and data, and table cells, ready for the template."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pnapo.errors import UserError
from pnapo.objectives.reward_scale import resolve_reward_scale
from pnapo.report import figures
from pnapo.report.collect import Results
from pnapo.report.drawing import Plot
from pnapo.report.runs import colors_of, focus_on
from pnapo.tables.labels import label, testset_label
from pnapo.tables.pivot import decimals
from pnapo.tables.scores import BASE
from pnapo.tables.write import show
from pnapo.text import file_stem, printable


def metric_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """One plot per test set and metric: bars from the base's mean, intervals of the paired difference."""
    colors = colors_of(results.runs)
    shown = [BASE, *focus_on(results.runs, list(results.methods_on(backbone)))]
    main = results.main[(results.main["backbone"] == backbone) & results.main["run"].isin(shown)]
    versus = results.comparisons
    versus = versus[(versus["backbone"] == backbone) & (versus["opponent"] == BASE)]
    for (testset, metric), part in main.groupby(["testset", "metric"], sort=False):
        rows = part.set_index("run")
        gains = versus[(versus["testset"] == testset) & (versus["metric"] == metric)].set_index("run")
        start, digits = rows.loc[BASE, "mean"], decimals(part["ci_low"], part["ci_high"])
        bars, sentence = [], []
        for run, row in rows.iterrows():
            low = start + gains.loc[run, "gain_low"] if run in gains.index else start
            high = start + gains.loc[run, "gain_high"] if run in gains.index else start
            text = f"{row['mean']:.{digits}f}"
            published = None if math.isnan(row["published"]) else row["published"]
            bars.append(figures.Bar(label(str(run)), colors[str(run)], row["mean"], low, high, text, published))
            sentence.append(f"{label(str(run))} {text}")
        title = f"{label(str(metric))} · {testset_label(str(testset))}"
        name = f"metrics-{backbone}-{testset}-{metric}"
        yield Plot(name, figures.bars(name, title, bars, start), f"{title}: {', '.join(sentence)}")


def geneval_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """One plot per task, from 0 to 1."""
    if results.geneval is None:
        return
    colors = colors_of(results.runs)
    shown = [BASE, *focus_on(results.runs, list(results.methods_on(backbone)))]
    table = results.geneval[(results.geneval["backbone"] == backbone) & results.geneval["run"].isin(shown)]
    for (testset, metric, task), part in table.groupby(["testset", "metric", "task"], sort=False):
        bars = [
            figures.Bar(label(r.run), colors[r.run], r.accuracy, r.ci_low, r.ci_high, f"{r.accuracy:.3f}")
            for r in part.itertuples()
        ]
        name = f"geneval-{backbone}-{testset}-{metric}-{file_stem(task)}"
        title = f"{label(str(metric))} · {label(str(task))}"
        sentence = ", ".join(f"{b.label} {b.text}" for b in bars)
        yield Plot(name, figures.bars(name, title, bars, 0.0, (0, 1)), f"{title}: {sentence}")


def funnel_plot(funnel: pd.DataFrame) -> Plot:
    """Prompts left after each step: names in the table's first column, counts in its first column of numbers."""
    column = next((c for c in funnel.columns[1:] if funnel[c].dtype.kind in "iuf"), None)
    if column is None or funnel[column].isna().any():
        raise UserError("the funnel table needs the number of prompts left after each step; make it again")
    counts = {label(str(step)): int(count) for step, count in zip(funnel.iloc[:, 0], funnel[column])}
    sentence = ", ".join(f"{step} {count:,}" for step, count in counts.items())
    return Plot("funnel", figures.funnel("funnel", "Prompts left after each step", counts), f"Prompts left: {sentence}")


def gap_plots(results: Results, backbone: str) -> Iterator[Plot]:
    """The reward gaps of the pairs, and for runs whose β depends on them the resulting f and β."""
    methods = results.methods_on(backbone)
    for data, reward in dict.fromkeys((run.data, run.reward) for run in methods.values()):
        pairs = results.labels[backbone, data, reward]
        gaps = pairs.loc[~pairs["tie"].astype(bool), "gap"].to_numpy(np.float64)
        if not len(gaps):
            continue
        users = [(n, r) for n, r in methods.items() if (r.data, r.reward) == (data, reward)]
        adaptive = [(n, r) for n, r in users if r.loss != "sft" and r.schedule in ("reward_gap", "dynamic")]
        scale = resolve_reward_scale((adaptive or users)[0][1].reward_scale, gaps)
        source = ", ".join(label(name) for name in (data, reward) if name)
        title, name = f"Reward gap of the pairs ({source})", f"gap-{backbone}-{f'{data}-' if data else ''}{reward}"
        ties = len(pairs) - len(gaps)
        x_label = f"scaled gap {scale:g}·δr" + (f"; {ties:,} tied pairs left out" if ties else "")
        middle = float(np.median(gaps)) * scale
        text = f"{title}: median {middle:.3g} after scaling by {scale:g}"
        yield Plot(name, figures.histogram(
            name, title, gaps * scale, x_label, mark=(middle, f"median {middle:.3g}")
        ), text)  # fmt: skip
        alike: dict[tuple[float, float], list[str]] = {}  # runs with the same f and β have one plot
        for run_name, run in adaptive:
            beta = results.settings(backbone, run_name)["beta"]
            alike.setdefault((resolve_reward_scale(run.reward_scale, gaps), beta), []).append(run_name)
        for (factor, beta), names in alike.items():
            f, name = np.tanh(gaps * factor / 2), f"beta-{backbone}-{names[0]}"
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            title, middle = f"{label(names[0])}{more}: the factor f of each pair", float(np.median(f))
            plot = figures.histogram(
                name, title, f, "f = tanh(scaled gap / 2)", (0, 1), (middle, f"median {middle:.2f}"),
                (beta, f"β of the pair before annealing, {beta:g}·f"),
            )  # fmt: skip
            text = f"The factor f of {', '.join(map(label, names))}: median {middle:.2f}, so β {beta * middle:.4g}"
            yield Plot(name, plot, text)


def caption(prompt: str) -> str:
    """A prompt for the page: line breaks stay, other control characters become visible."""
    return "\n".join(printable(line) for line in prompt.splitlines())


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(rate: float) -> str:
    """A rate as a percentage, a dash for nothing."""
    return show(rate, lambda r: f"{100 * r:.1f} %")
