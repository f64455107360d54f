"""A table of results in the terminal."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pnapo.artifacts import require_listed
from pnapo.errors import UserError
from pnapo.text import one_line

KEYS = ("backbone", "run", "testset", "metric", "task", "step", "seed", "claim", "verdict")


def show(path: Path | str, columns: Sequence[str] | None = None) -> None:
    """Print a CSV of results, or some of its columns: one line a row, keys on the left, numbers to four digits."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    require_listed(path)
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `snakemake` first") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table of results ({error})") from None
    if columns and (unknown := [name for name in columns if name not in frame]):
        raise UserError(f"{path}: no column is called {unknown[0]}; there is {', '.join(frame.columns)}")
    frame = frame[list(columns)] if columns else frame.dropna(axis=1, how="all")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in frame.columns:
        table.add_column(Text(one_line(name)), justify="left" if name in KEYS else "right", no_wrap=True)
    previous = None
    for row in frame.itertuples(index=False):
        group = tuple(getattr(row, name) for name in ("backbone", "testset", "metric") if name in frame.columns)
        if previous is not None and group != previous and len(group) > 1:
            table.add_section()
        previous = group
        cells = ("" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else one_line(str(v)) for v in row)
        table.add_row(*map(Text, cells))  # text, so that no [brackets] are taken for styles
    # A pipe or a narrow terminal must not cut columns.
    needed = Console(width=10_000).measure(table).maximum
    Console(width=max(Console().width, needed)).print(table)
