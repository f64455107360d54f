"""Removal of near-duplicates: exact Jaccard similarity of word n-grams, by a join that misses no pair.

The earliest prompt stays; a prompt is removed if it reaches the threshold with a prompt that stays.

Two sets of similarity ≥ s share one of the |x| − ⌈s·|x|⌉ + 1 rarest shingles of x (prefix filter: Chaudhuri et al. 2006;
Bayardo et al. 2007). Only prompts that share such a shingle are compared, so what many prompts end with ("trending on
artstation") costs nothing. Cheap bounds on the overlap (its place in both prefixes; 128-bit summaries of the sets) drop
most of the rest, and what is left is counted exactly.
"""

import numpy as np
import pandas as pd

from pnapo.config.schema import NearDuplicates
from pnapo.prompts.greedy import Pairs, decide, split
from pnapo.prompts.shingles import ShingleSets, mix, ragged, shingle_sets

BLOCK = 2048  # rows compared at a time, with each other and with all that stay before them
LIMIT = 4_000_000  # pairs looked at at a time, so that memory stays small
_LOW = np.uint64(0xFFFFFFFF)


def remove_near_duplicates(table: pd.DataFrame, settings: NearDuplicates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a prompt table: kept, and removed (prompt_id, prompt, score = exact Jaccard, kept_id).

    A removed prompt's `kept_id` is the most similar of the kept prompts before it, the earliest of these where they tie.
    """
    sets = shingle_sets(table["prompt"], settings.ngram)
    partner, score = duplicates(sets, settings.threshold)
    return split(table, partner, score)


def duplicates(sets: ShingleSets, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """For each row the row that stays instead, int64 [N] (−1: it stays itself), and their similarity, float64 [N].

    A repeat of a whole set shares the fate of its first appearance.
    """
    first = _first_of_equals(sets)
    unique = np.flatnonzero(first == np.arange(len(first)))
    search = _Search(sets, unique, threshold)
    for start in range(0, len(unique), BLOCK):
        search.block(start, min(start + BLOCK, len(unique)))
    partner, score = search.partner, search.score
    repeats = np.flatnonzero(first != np.arange(len(first)))
    stays = partner[first[repeats]] < 0
    partner[repeats] = np.where(stays, first[repeats], partner[first[repeats]])
    score[repeats] = np.where(stays, 1.0, score[first[repeats]])
    return partner, score


def _first_of_equals(sets: ShingleSets) -> np.ndarray:
    """For each row the first with the same set."""
    if not len(sets.sizes):
        return np.empty(0, np.int64)
    scrambled = mix(sets.keys & _LOW) + sets.sizes.astype(np.uint64).repeat(sets.sizes)
    _, first, group = np.unique(
        np.add.reduceat(mix(scrambled), sets.offsets[:-1]), return_index=True, return_inverse=True
    )
    return first[group]


class _Search:
    """The prompts that stay so far, found by the shingles of their prefixes."""

    def __init__(self, sets: ShingleSets, rows: np.ndarray, threshold: float):
        self.sets, self.rows, self.threshold = sets, rows, threshold
        self.sizes = sets.sizes
        self.partner, self.score = np.full(len(self.sizes), -1, np.int64), np.zeros(len(self.sizes))
        self.summary = self._summaries()
        # The prefixes of all rows, one after the other; a shingle in one prefix alone can be left out.
        length = self.sizes[rows] - np.ceil(threshold * self.sizes[rows] - 1e-9).astype(np.int64) + 1
        length = np.minimum(length, self.sizes[rows])
        self.row = np.repeat(rows, length)
        self.place = ragged(length).astype(np.int32)
        shingle = (sets.keys[sets.offsets[self.row] + self.place] & _LOW).astype(np.int64)
        lists = np.bincount(shingle, minlength=1)
        shared = lists[shingle] > 1
        self.row, self.place, self.shingle = self.row[shared], self.place[shared], shingle[shared]
        self.entries = np.searchsorted(self.row, np.append(rows, len(self.sizes)))  # where each row's begin
        # Room for each shingle's list of rows that stay, and how long it is by now.
        lists[lists == 1] = 0
        self.start = np.cumsum(lists) - lists
        self.filled = np.zeros(len(lists), np.int64)
        self.list_row = np.empty(len(self.row), np.int64)
        self.list_place = np.empty(len(self.row), np.int32)

    def _summaries(self) -> np.ndarray:
        """128 bits a row, uint64 [N, 2]: each shingle sets one of them."""
        shingle = self.sets.keys & _LOW
        bit = mix(shingle + np.uint64(1)) & np.uint64(127)
        found = np.zeros((len(self.sizes), 2), np.uint64)
        for half in (0, 1):
            mine = (bit >> np.uint64(6)) == half
            value = np.where(mine, np.uint64(1) << (bit & np.uint64(63)), np.uint64(0))
            if len(value):
                found[:, half] = np.bitwise_or.reduceat(value, self.sets.offsets[:-1])
        return found

    def block(self, start: int, stop: int) -> None:
        """Decide the unique rows number `start` to `stop`."""
        part = slice(self.entries[start], self.entries[stop])
        shingle, row, place = self.shingle[part], self.row[part], self.place[part]
        before = self._similar(row, place, self.start[shingle], self.filled[shingle], self.list_row, self.list_place)
        order = np.argsort(shingle, kind="stable")
        position = _position_in_group(shingle[order])
        within = self._similar(
            row[order], place[order], np.arange(len(order)) - position, position, row[order], place[order]
        )
        gone = decide(before, within)
        self.partner[gone.row], self.score[gone.row] = gone.other, gone.similarity
        stays = self.partner[row] < 0
        self._append(shingle[stays], row[stays], place[stays])

    def _similar(
        self,
        row: np.ndarray,
        place: np.ndarray,
        start: np.ndarray,
        count: np.ndarray,
        list_row: np.ndarray,
        list_place: np.ndarray,
    ) -> Pairs:
        """Pairs that reach the threshold among entries and the `count` listed ones from `start` on."""
        found, ends = [], np.cumsum(count)
        cut = 0
        while cut < len(row):
            done = ends[cut - 1] if cut else 0
            end = max(cut + 1, int(np.searchsorted(ends, done + LIMIT, side="right")))
            part = slice(cut, end)
            repeated = np.repeat(np.arange(cut, end), count[part])
            listed = start[repeated] + ragged(count[part])
            found.append(self._bounded(row[repeated], place[repeated], list_row[listed], list_place[listed]))
            cut = end
        keys = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
        return self._exact(keys // len(self.sizes), keys % len(self.sizes))

    def _bounded(self, row: np.ndarray, place: np.ndarray, other: np.ndarray, other_place: np.ndarray) -> np.ndarray:
        """The candidates whose overlap could be large enough, as row·N + other."""
        a, b = self.sizes[row], self.sizes[other]
        needed = self._needed(a, b)
        keep = np.minimum(a - place, b - other_place) >= needed  # no more than what follows in both can be shared
        row, other, spare = row[keep], other[keep], (a - needed)[keep]
        missing = np.zeros(len(row), np.int64)
        for half in (0, 1):
            missing += np.bitwise_count(self.summary[row, half] & ~self.summary[other, half])
        keep = missing <= spare
        return row[keep] * len(self.sizes) + other[keep]

    def _needed(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The overlap from which on sets of sizes a and b reach the threshold."""
        return np.ceil(self.threshold / (1 + self.threshold) * (a + b) - 1e-9).astype(np.int64)

    def _exact(self, row: np.ndarray, other: np.ndarray) -> Pairs:
        """Those of the pairs that reach the threshold, by counting what their sets share."""
        shared = np.zeros(len(row), np.int64)
        step = max(1, LIMIT // 32)
        for start in range(0, len(row), step):
            part = slice(start, start + step)
            count = self.sizes[row[part]]
            mine = self.sets.keys[np.repeat(self.sets.offsets[row[part]], count) + ragged(count)] & _LOW
            wanted = (np.repeat(other[part], count).astype(np.uint64) << np.uint64(32)) | mine
            found = np.minimum(np.searchsorted(self.sets.keys, wanted), len(self.sets.keys) - 1)
            there = self.sets.keys[found] == wanted
            shared[part] = np.add.reduceat(there, np.cumsum(count) - count)
        similarity = shared / (self.sizes[row] + self.sizes[other] - shared)
        keep = similarity >= self.threshold
        return Pairs(row[keep], other[keep], similarity[keep])

    def _append(self, shingle: np.ndarray, row: np.ndarray, place: np.ndarray) -> None:
        """Enter rows that stay into the lists of their prefixes' shingles."""
        order = np.argsort(shingle, kind="stable")
        shingle = shingle[order]
        target = self.start[shingle] + self.filled[shingle] + _position_in_group(shingle)
        self.list_row[target], self.list_place[target] = row[order], place[order]
        np.add.at(self.filled, shingle, 1)


def _position_in_group(values: np.ndarray) -> np.ndarray:
    """For each of sorted values, how many equal ones come before it."""
    if not len(values):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return ragged(np.diff(np.concatenate([starts, [len(values)]])))
