"""The plots, as SVG text with fixed bytes. The only module that imports matplotlib.

Every function returns a standalone SVG. `inline` makes one fit into the page: its colours become CSS variables, so that
it follows light and dark mode, and its text takes the page's font. A run has one colour everywhere (`colors_of`), from
Okabe and Ito's palette for colour-blind readers; labels stand beside what they name.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, MUTED, RULE, BAND, PAPER = "#1f2429", "#666e76", "#d4d9de", "#eef1f4", "#ffffff"
BASE_COLOR = "#7d858c"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#5b4bb7")
_VARIABLES = {
    **{INK: "--ink", MUTED: "--muted", RULE: "--rule", BAND: "--band", PAPER: "--card", BASE_COLOR: "--c-base"},
    **{color: f"--c{i}" for i, color in enumerate(PALETTE)},
}
_STYLE = {
    **{"figure.facecolor": PAPER, "axes.facecolor": "none"},
    **{"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9.5, "text.color": INK},
    **{"axes.edgecolor": RULE, "axes.labelcolor": MUTED, "axes.labelsize": 9, "axes.linewidth": 0.8},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.unicode_minus": True},
    **{"xtick.color": RULE, "ytick.color": RULE, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED},
    **{"xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "lines.solid_capstyle": "round", "path.simplify": True},
}
_WIDTH = 4.4  # inches; 72 SVG units each


def colors_of(runs: Sequence[str]) -> dict[str, str]:
    """The colour of each run by its place in the configuration; the base model is grey."""
    others = [r for r in runs if r != "base"]
    return {"base": BASE_COLOR, **{run: PALETTE[i % len(PALETTE)] for i, run in enumerate(others)}}


def css(color: str) -> str:
    """A colour of this module as a CSS variable of the page, with itself as the fallback."""
    return f"var({_VARIABLES[color]}, {color})" if color in _VARIABLES else color


def _draw(name: str, height: float, paint: Callable[[Axes], None], title: str, width: float = _WIDTH) -> str:
    """One plot; `name` salts the identifiers inside, so that no two plots of a page share one."""
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.05, h_pad=0.06)
        figure.suptitle(title.replace("$", r"\$"), x=0.012, ha="left", size=10.5, weight="bold")
        axes = figure.add_subplot()
        paint(axes)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline(svg: str, description: str) -> str:
    """The SVG as an element of the page: no prolog, metadata, namespaces or unused names; colours as CSS variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda m: css(m[0]), svg)
    size = re.search(r'viewBox="0 0 ([\d.]+)', svg)[1]
    opening = (
        f'<svg role="img" aria-label="{escape(description, quote=True)}" style="max-width: {1.6 * float(size):.0f}px"'
    )
    svg = re.sub(r'<svg width="[^"]*" height="[^"]*"', lambda _: opening, svg, count=1)
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def _number(x: float, _: object = None) -> str:
    """A tick label without needless digits."""
    return f"{x:,.0f}" if abs(x) >= 1e4 else f"{x:.4g}".replace("-", "−")


def _quiet(axes: Axes, x: bool = True, y: bool = True, ticks: int = 4) -> None:
    """Few ticks, no tick marks, light grid lines along the value axis."""
    axes.tick_params(length=0)
    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_locator(MaxNLocator(ticks))
            axis.set_major_formatter(FuncFormatter(_number))
            axis.grid(True, color=RULE, linewidth=0.6)


@dataclass(frozen=True)
class Bar:
    """One row of a bar plot: the value and its interval, and what is written beside it."""

    label: str
    color: str
    value: float
    low: float
    high: float
    text: str
    published: float | None = None


def bars(name: str, title: str, rows: Sequence[Bar], start: float, limits: tuple[float, float] | None = None) -> str:
    """Horizontal bars from `start` to each value, with intervals; a diamond marks a published value."""

    def paint(axes: Axes) -> None:
        for y, row in enumerate(rows):
            axes.barh(y, row.value - start, left=start, height=0.56, color=row.color, alpha=0.85, linewidth=0)
            if row.high > row.low:
                axes.plot([row.low, row.high], [y, y], color=INK, linewidth=1.3)
            if row.value == start:
                axes.plot(row.value, y, "o", color=row.color, markersize=6)
            if row.published is not None:
                axes.plot(row.published, y, "D", markerfacecolor="none", markeredgecolor=INK, markersize=5)
            axes.text(1.03, y, row.text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        axes.axvline(start, color=MUTED, linewidth=0.9)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.tick_params(axis="y", labelsize=9.5, labelcolor=INK)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.spines["left"].set_visible(False)
        axes.use_sticky_edges = False
        axes.margins(x=0.06)
        if limits:
            axes.set_xlim(*limits)
        _quiet(axes, y=False)

    return _draw(name, 0.75 + 0.3 * len(rows), paint, title)


@dataclass(frozen=True)
class Curve:
    """One line of a plot; `label` empty for a line that needs none."""

    label: str
    color: str
    x: np.ndarray
    y: np.ndarray
    dashed: bool = False


def smooth(y: np.ndarray, window: int) -> np.ndarray:
    """Centred running mean of `window` values, shorter at the ends; what is not finite counts nothing."""
    finite = np.isfinite(y)
    kernel = np.ones(max(1, window))
    total = np.convolve(np.where(finite, y, 0), kernel, "same")
    count = np.convolve(finite.astype(float), kernel, "same")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _spread(y: Sequence[float], least: float) -> list[float]:
    """Positions near y, in its order, at least `least` apart (labels that do not cover each other)."""
    order = np.argsort(y, kind="stable")
    placed = np.asarray(y, float)[order]
    for _ in range(200):
        gaps = np.diff(placed)
        close = gaps < least - 1e-9
        if not close.any():
            break
        for i in np.flatnonzero(close):
            push = (least - (placed[i + 1] - placed[i])) / 2
            placed[i] -= push
            placed[i + 1] += push
    out = np.empty_like(placed)
    out[order] = placed
    return list(out)


def curves(name: str, title: str, lines: Sequence[Curve], rule: tuple[float, str] | None = None) -> str:
    """Curves over optimizer steps, each named at its end; `rule` is a level to compare with, and its name."""

    def paint(axes: Axes) -> None:
        for line in lines:
            style = (0, (3, 2)) if line.dashed else "solid"
            axes.plot(line.x, line.y, color=line.color, linewidth=1.2 if line.dashed else 1.8, linestyle=style)
        if rule:
            axes.axhline(rule[0], color=MUTED, linewidth=0.9, zorder=0.5)
            place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
            axes.text(0.99, rule[0], rule[1], color=MUTED, fontsize=8, **place)
        axes.margins(x=0, y=0.08)
        _quiet(axes, x=False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("optimizer step")
        low, high = axes.get_ylim()
        named = [line for line in lines if line.label and np.isfinite(line.y).any()]
        ends = [(line.y[np.isfinite(line.y)][-1] - low) / (high - low) for line in named]
        for line, end, at in zip(named, ends, _spread(ends, 0.09)):
            axes.plot(1.02, end, "o", color=line.color, markersize=4, transform=axes.transAxes, clip_on=False)
            axes.text(1.045, at, line.label, transform=axes.transAxes, va="center", fontsize=9)

    return _draw(name, 2.5, paint, title)


def histogram(
    name: str,
    title: str,
    values: np.ndarray,
    x_label: str,
    limits: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
    scale: tuple[float, str] | None = None,
) -> str:
    """A histogram of values; `mark` a value with its name; `scale` a factor for a second reading of x, and its name."""

    def paint(axes: Axes) -> None:
        axes.hist(values, bins=30, range=limits, color=PALETTE[0], alpha=0.85, rwidth=0.9)
        if mark:
            left = limits is not None and mark[0] > np.mean(limits)
            axes.axvline(mark[0], color=INK, linewidth=1.1)
            axes.annotate(
                mark[1], (mark[0], 0.98), xycoords=("data", "axes fraction"), xytext=(-5 if left else 5, 0),
                textcoords="offset points", ha="right" if left else "left", va="top", fontsize=9,
            )  # fmt: skip
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(x_label)
        axes.set_ylabel("pairs")
        axes.margins(x=0.01)
        _quiet(axes)
        axes.xaxis.grid(False)
        if scale:
            factor = scale[0]
            second = axes.secondary_xaxis(-0.36, functions=(lambda x: x * factor, lambda x: x / factor))
            second.set_xlabel(scale[1])
            second.tick_params(length=0)
            second.xaxis.set_major_locator(MaxNLocator(5))
            second.xaxis.set_major_formatter(FuncFormatter(_number))

    return _draw(name, 3.1 if scale else 2.6, paint, title)


def funnel(name: str, title: str, counts: Mapping[str, int]) -> str:
    """How many prompts are left after each step."""

    def paint(axes: Axes) -> None:
        values = list(counts.values())
        for y, value in enumerate(values):
            axes.barh(y, values[0], height=0.62, color=BAND, linewidth=0)
            axes.barh(y, value, height=0.62, color=PALETTE[0], alpha=0.85, linewidth=0)
            share = f" · {100 * value / values[0]:.0f} %" if y else ""
            axes.text(1.02, y, f"{value:,}{share}", transform=axes.get_yaxis_transform(), va="center", fontsize=9.5)
        axes.set_yticks(range(len(values)), list(counts))
        axes.tick_params(axis="y", labelsize=9.5, labelcolor=INK, length=0)
        axes.set_xticks([])
        axes.set_xlim(0, values[0])
        axes.set_ylim(len(values) - 0.4, -0.6)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    return _draw(name, 0.55 + 0.32 * len(counts), paint, title, width=6.4)
