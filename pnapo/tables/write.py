"""Write a table three times: .csv for programs, .md for a terminal and GitHub, .tex (booktabs) for a paper.

CSV has 6 significant digits, so that its bytes do not hang on the order of a sum. Text that comes from users (prompts,
names) is escaped for each format.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import listing_of, write_csv, write_listing, write_text
from pnapo.tables.labels import label
from pnapo.text import escape_markdown, printable

Format = str | Callable[[object], str]  # a format specification such as ".3f", or a function of the value


@dataclass(frozen=True)
class Cell:
    """One cell as shown."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Grid:
    """A table as shown: a title, a header and rows of equal length. The columns in `left` are left-aligned.

    Grids of one `block` stand together: under one heading in Markdown, in one table environment in LaTeX.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    block: str = ""
    left: frozenset[int] = frozenset({0})


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its floating-point columns at 6 significant digits."""
    out = frame.copy()
    for name in out.columns[[dtype.kind == "f" for dtype in out.dtypes]]:
        out[name] = [float(f"{x:.6g}") for x in out[name]]
    return out


def show(value: object, fmt: Format | None = None) -> str:
    """A value as text: a dash for nothing, thousands separated, 4 significant digits, unless `fmt` says otherwise."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)) or value == "":
        return "–"
    if callable(fmt):
        return fmt(value)
    if fmt is not None:
        return format(value, fmt)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return str(value)


def grid_of(frame: pd.DataFrame, formats: Mapping[str, Format] | None = None) -> Grid:
    """A frame as it is, one row each."""
    formats = formats or {}
    text = frozenset(i for i, dtype in enumerate(frame.dtypes) if dtype.kind not in "iufb") | {0}
    columns = [[Cell(show(v, formats.get(name))) for v in frame[name].tolist()] for name in frame]
    return Grid([label(name) for name in frame], list(zip(*columns)), left=text)


_LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"},
    **{"±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "½": r"\textonehalf{}", "−": r"$-$"},
    **{
        "–": "--",
        "—": "---",
        "“": "``",
        "”": "''",
        "‘": "`",
        "’": "'",
        "…": r"\dots{}",
        "β": r"$\beta$",
        "δ": r"$\delta$",
    },
}


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is. What no Latin font has becomes its code point, so that pdflatex compiles too."""
    return "".join(_LATEX.get(c, c if c < "\u0180" else f"[U+{ord(c):04X}]") for c in printable(text))


def _aligned(rows: Sequence[Sequence[str]], left: frozenset[int], joint: str) -> list[str]:
    """Rows of cells padded to columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        joint.join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in rows
    ]


def markdown(grids: Sequence[Grid], caption: str) -> str:
    """All grids as Markdown tables, aligned so that the source itself reads well."""
    parts = [textwrap.fill(escape_markdown(caption), 110)]
    for number, grid in enumerate(grids):
        if grid.block and (number == 0 or grid.block != grids[number - 1].block):
            parts.append(f"### {escape_markdown(grid.block)}")
        body = [[f"**{t}**" if c.bold else t for c in row for t in [escape_markdown(c.text)]] for row in grid.rows]
        rows = [[escape_markdown(h) for h in grid.header], *body]
        widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
        rule = [":" + "-" * (w - 1) if i in grid.left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        lines = [f"| {line} |" for line in _aligned([rows[0], rule, *rows[1:]], grid.left, " | ")]
        if grid.title:
            parts.append(f"**{escape_markdown(grid.title)}**")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _tabular(grid: Grid) -> list[str]:
    """The lines of a booktabs tabular, its title above it; made narrower if it does not fit the line.

    A row does not begin with [ or *, which LaTeX would take for arguments of the \\\\ or \\midrule before it.
    """
    body = [[f"\\textbf{{{t}}}" if c.bold else t for c in row for t in [escape_latex(c.text)]] for row in grid.rows]
    body = [[escape_latex(h) for h in grid.header], *body]
    body = [["{}" + first if first[:1] in ("[", "*") else first, *others] for first, *others in body]
    head, *rows = _aligned(body, grid.left, " & ")
    columns = "".join("l" if i in grid.left else "r" for i in range(len(grid.header)))
    title = [f"  \\textit{{{escape_latex(grid.title)}}}\\\\[2pt]"] if grid.title else []
    return [
        *title,
        "  \\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"  \\begin{{tabular}}{{{columns}}}",
        "    \\toprule",
        f"    {head} \\\\",
        "    \\midrule",
        *(f"    {row} \\\\" for row in rows),
        "    \\bottomrule",
        "  \\end{tabular}}",
    ]


def latex(grids: Sequence[Grid], caption: str, name: str) -> str:
    """One table environment per block, with a booktabs tabular for each grid. Only the first has the whole caption."""
    lines = ["% needs \\usepackage{booktabs,graphicx,textcomp} and \\usepackage[T1]{fontenc}"]
    for number, (block, members) in enumerate(groupby(grids, key=lambda grid: grid.block)):
        text = f"{block}. {caption}" if block and not number else block if number else caption
        lines += ["\\begin{table}[t]", "  \\centering\\small", f"  \\caption{{{escape_latex(text)}}}"]
        lines.append(f"  \\label{{tab:{name}{f'-{number + 1}' if number else ''}}}")
        lines.append("  \\par\\smallskip")
        for i, grid in enumerate(members):
            lines += ["  \\par\\medskip", *_tabular(grid)] if i else _tabular(grid)
        lines.append("\\end{table}")
    return "\n".join(lines) + "\n"


def write_all(
    frame: pd.DataFrame,
    csv_path: Path | str,
    caption: str,
    formats: Mapping[str, Format] | None = None,
    grids: Sequence[Grid] | None = None,
) -> None:
    """Write `csv_path` and, beside it, the .md and .tex; each whole or not at all. Then their manifest.

    `formats` says how a column's values are shown (column -> ".3f", or a function); `grids` replaces the frame as it is
    by other views of it in .md and .tex. The caption is plain text.
    """
    path = Path(csv_path)
    grids = [grid_of(frame, formats)] if grids is None else grids
    write_text(path.with_suffix(".md"), markdown(grids, caption))
    write_text(path.with_suffix(".tex"), latex(grids, caption, path.stem))
    write_csv(path, rounded(frame))
    names = [f"{path.stem}{suffix}" for suffix in (".csv", ".md", ".tex")]
    write_listing(listing_of(path), "table", names)
