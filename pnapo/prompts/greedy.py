"""Who goes: the rule of both duplicate filters. The earliest prompt stays; what is similar to one that stays goes."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Pairs(NamedTuple):
    """Rows and earlier rows that they are similar to: int64 [P] each, and similarities float64 [P]."""

    row: np.ndarray
    other: np.ndarray
    similarity: np.ndarray

    def where(self, chosen: np.ndarray) -> "Pairs":
        """The pairs of a mask or of indices."""
        return Pairs(self.row[chosen], self.other[chosen], self.similarity[chosen])


def decide(before: Pairs, within: Pairs) -> Pairs:
    """Of a block of rows those that go, once each, with the most similar row that stays; ties go to the earliest.

    `before` are similar pairs of a row of the block and an earlier row that stays, `within` pairs inside the block.
    """
    if not len(before.row) + len(within.row):
        return before
    base = min(part.min() for part in (before.row, within.other) if len(part))
    count = max(part.max() for part in (before.row, within.row) if len(part)) - base + 1
    removed = _members(before.row - base, count)
    row, other = within.row - base, within.other - base
    while True:  # what has no earlier similar row left stays, and removes what is similar to it
        alive = ~removed[row] & ~removed[other]
        row, other = row[alive], other[alive]
        if not len(row):
            break
        removed[row[~_members(row, count)[other]]] = True
    inside = within.where(~removed[within.other - base] & removed[within.row - base])
    all_pairs = Pairs(*(np.concatenate(parts) for parts in zip(before, inside)))
    best = all_pairs.where(np.lexsort((all_pairs.other, -all_pairs.similarity, all_pairs.row)))
    return best.where(np.unique(best.row, return_index=True)[1])


def _members(rows: np.ndarray, count: int) -> np.ndarray:
    """Membership of 0 … count − 1 in `rows`, bool [count]."""
    found = np.zeros(count, bool)
    found[rows] = True
    return found


def split(table: pd.DataFrame, partner: np.ndarray, score: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Kept and removed rows, given for each row the row that stays instead (−1: it stays itself) and the similarity."""
    ids, gone = table["prompt_id"].to_numpy(), partner >= 0
    removed = (
        table.loc[gone, ["prompt_id", "prompt"]]
        .assign(score=score[gone], kept_id=ids[partner[gone]])
        .astype({"kept_id": "str"})
    )
    return table[~gone].reset_index(drop=True), removed.reset_index(drop=True)
