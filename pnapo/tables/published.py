"""Published values, to stand beside ours."""

from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.errors import UserError
from pnapo.tables.scores import OVERALL

KEY = ["backbone", "run", "testset", "metric"]


def read_published(path: Path | str) -> pd.DataFrame:
    """Published values, columns backbone, run, testset, metric, value (and source; and task, of GenEval's, empty for overall).

    Raises UserError for a missing file, column or number, or two values for one cell.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (published)") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({str(error).splitlines()[0]})") from None
    missing = [c for c in (*KEY, "value") if c not in frame]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; it needs {', '.join(KEY)} and value")
    numbers = pd.to_numeric(frame["value"], errors="coerce")
    if numbers.isna().any():
        line = int(np.flatnonzero(numbers.isna())[0]) + 2
        raise UserError(f"{path}: line {line}: value {frame['value'].iloc[line - 2]!r} is not a number")
    frame["task"] = frame["task"].replace("", OVERALL) if "task" in frame else OVERALL
    cell = [*KEY, "task"]
    if frame.duplicated(cell).any():
        line = int(np.flatnonzero(frame.duplicated(cell))[0]) + 2
        raise UserError(f"{path}: line {line}: a second value for the same backbone, run, testset and metric")
    return frame[cell].assign(published=numbers)
