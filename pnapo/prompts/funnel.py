"""The funnel: how many prompts each step kept and, where the truth is known, how right it was.

Truth comes from the embedded world's planted prompts. A duplicate filter must leave one prompt of each planted group: of m
members that enter the step, m − 1 should go. A removal counts as right if the prompt belongs to a group of which another
member entered. Groups of the semantic step join both kinds of planted links.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pnapo.artifacts import read_table
from pnapo.errors import UserError

CAPTION = (
    "Prompts kept and removed by each step. Precision, recall and the share of safe prompts removed are measured against "
    "what the embedded world planted; they are empty for prompts whose truth is not known. Threshold: the score from which on "
    "the safety filter removed prompts."
)
FORMATS = {
    "kept": ",d",
    "removed": ",d",
    "share_kept": ".3f",
    "precision": ".3f",
    "recall": ".3f",
    "false_positive_rate": ".4f",
    "threshold": ".4g",
}
STEPS = (
    ("safe", "unsafe prompts", "all"),
    ("unique", "near-duplicates", "safe"),
    ("distinct", "semantic duplicates", "unique"),
)


def groups(truth: pd.DataFrame, links: Iterable[str]) -> dict[str, str]:
    """The group of each prompt id: the root of its links. Raises UserError for a link to a prompt that is not listed."""
    parent = dict(zip(truth["prompt_id"], truth["prompt_id"]))

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for column in links:
        for child, target in zip(truth["prompt_id"], truth[column]):
            if target and target not in parent:
                raise UserError(f"truth: {column} of prompt {child} names {target}, which the table does not list")
            if target:
                parent[root(child)] = root(target)
    return {name: root(name) for name in parent}


def _duplicates(entered: pd.Series, removed: pd.Series, group: dict[str, str]) -> dict[str, float]:
    """Precision and recall of a duplicate filter, over the prompts whose truth is known."""
    removed = removed[removed.isin(group)]
    sizes = entered.map(group).value_counts()
    positives = int((sizes - 1).sum())
    per_group = removed.map(group).value_counts()
    right = sum(min(count, sizes[name] - 1) for name, count in per_group.items() if sizes[name] > 1)
    return {
        "precision": right / len(removed) if len(removed) else float("nan"),
        "recall": right / positives if positives else float("nan"),
    }


def _safety(entered: pd.Series, removed: pd.Series, unsafe: dict[str, bool]) -> dict[str, float]:
    """How right the safety filter was on the prompts whose truth is known."""
    entered = entered[entered.isin(unsafe)]
    bad, gone = entered.map(unsafe).astype(bool), entered.isin(set(removed))
    return {
        "precision": float(bad[gone].mean()) if gone.any() else float("nan"),
        "recall": float(gone[bad].mean()) if bad.any() else float("nan"),
        "false_positive_rate": float(gone[~bad].mean()) if (~bad).any() else float("nan"),
    }


def _if_there(path: Path, column: str) -> pd.Series | None:
    """A column of a table that need not have it."""
    return read_table(path).get(column) if path.is_file() else None


def funnel(folder: Path | str, truth_path: Path | str | None = None) -> pd.DataFrame:
    """The funnel table of a prompts folder.

    Columns: step, kept, removed, share_kept (of the step's input), precision, recall, false_positive_rate (missing where
    the truth is not known or does not apply), threshold (of the safety filter, missing if it removed nothing). Exact repeats
    have a step of their own where the list has any.
    """
    folder = Path(folder)
    columns = ["prompt_id", "unsafe", "near_of", "semantic_of"]
    truth = read_table(truth_path, columns) if truth_path else None
    lists = {name: read_table(folder / f"{name}.parquet", ["prompt_id"])["prompt_id"] for name in ("all", "selected")}
    repeats = _if_there(folder / "all.parquet", "rows")
    raw = len(lists["all"]) if repeats is None else int(repeats.sum())
    rows = [{"step": "raw prompts", "kept": raw, "removed": 0}]
    if raw > len(lists["all"]):
        rows.append({"step": "without exact repeats", "kept": len(lists["all"]), "removed": raw - len(lists["all"])})
    for name, label, before in STEPS:
        lists[name] = read_table(folder / f"{name}.parquet", ["prompt_id"])["prompt_id"]
        removed = read_table(folder / f"{name}.removed.parquet", ["prompt_id"])["prompt_id"]
        row = {"step": f"without {label}", "kept": len(lists[name]), "removed": len(removed)}
        threshold = _if_there(folder / f"{name}.removed.parquet", "threshold")
        if threshold is not None and len(threshold):
            row["threshold"] = threshold.max()
        if truth is not None and name == "safe":
            row |= _safety(lists[before], removed, dict(zip(truth["prompt_id"], truth["unsafe"])))
        elif truth is not None:
            links = ("near_of",) if name == "unique" else ("near_of", "semantic_of")
            row |= _duplicates(lists[before], removed, groups(truth, links))
        rows.append(row)
    kept = len(lists["selected"])
    rows.append({"step": "resampled by cluster", "kept": kept, "removed": len(lists["distinct"]) - kept})
    columns = ["step", "kept", "removed", "share_kept", "precision", "recall", "false_positive_rate", "threshold"]
    table = pd.DataFrame(rows)
    table["share_kept"] = table["kept"] / (table["kept"] + table["removed"])
    return table.reindex(columns=columns)
