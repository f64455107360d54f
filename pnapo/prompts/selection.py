"""Proportional resampling: N prompts, each cluster with its share, drawn without replacement by a seed."""

import numpy as np
import pandas as pd

from pnapo.config.schema import Selection
from pnapo.errors import UserError
from pnapo.flow.random import stream


def shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """How many of `count` each cluster gives: its proportion, by largest remainder (the first cluster wins a tie)."""
    exact = sizes * count / sizes.sum()
    floor = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - floor), kind="stable")
    floor[order[: count - floor.sum()]] += 1
    return floor


def select(table: pd.DataFrame, settings: Selection) -> pd.DataFrame:
    """`settings.count` rows of a table with a `cluster` column, in the table's order.

    Raises UserError if the table has fewer rows: a smaller set than asked for would be another experiment.
    """
    if len(table) < settings.count:
        raise UserError(
            f"prompts.selection.count: {settings.count} prompts are asked for, only {len(table)} are left after the "
            "filters; lower it or give more prompts"
        )
    clusters, sizes = np.unique(table["cluster"], return_counts=True)
    chosen = []
    for name, share in zip(clusters, shares(sizes, settings.count)):
        rows = np.flatnonzero(table["cluster"] == name)
        # Keyed by the cluster and drawn over sorted ids, so that the order of the list does not matter.
        ids = table["prompt_id"].to_numpy()[rows]
        rows = rows[np.argsort(ids, kind="stable")]
        chosen += list(stream("selection", settings.seed, int(name)).permutation(rows)[:share])
    return table.iloc[sorted(chosen)][["prompt_id", "prompt", "cluster"]].reset_index(drop=True)
