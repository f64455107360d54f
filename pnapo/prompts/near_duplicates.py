"""Removal of near-duplicates: Jaccard similarity of word n-grams, found by MinHash LSH and verified exactly.

The earliest prompt stays; a prompt is removed if it reaches the threshold with a prompt that stays.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pnapo.config.schema import NearDuplicates

_WORD = re.compile(r"\w+")


def shingles(text: str, ngram: int) -> frozenset[str]:
    """The word n-grams of a text, without case, punctuation and accents' encoding.

    A text of fewer words is one shingle; one without words (only emoji, say) is its own characters.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold()) or [text.strip()]
    if len(words) <= ngram:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[i : i + ngram]) for i in range(len(words) - ngram + 1))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a ∩ b| / |a ∪ b|."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def bands_for(threshold: float, permutations: int, recall: float = 0.99) -> int:
    """The smallest number of LSH bands that finds a pair exactly at the threshold with probability ≥ `recall`.

    With b bands of r = permutations/b rows a pair of similarity s is a candidate with probability 1 − (1 − s^r)^b. More
    bands find more candidates, all of which are then verified.
    """
    for bands in range(1, permutations + 1):
        rows = permutations // bands
        if permutations % bands == 0 and 1 - (1 - threshold**rows) ** bands >= recall:
            return bands
    return permutations


def signatures(sets: Sequence[frozenset[str]], permutations: int, seed: int) -> np.ndarray:
    """MinHash signatures, uint32 [N, permutations]."""
    from rensa import RMinHash

    found = np.empty((len(sets), permutations), np.uint32)
    for row, items in enumerate(sets):
        sketch = RMinHash(num_perm=permutations, seed=seed)
        sketch.update(sorted(items))
        found[row] = sketch.digest()
    return found


def remove_near_duplicates(table: pd.DataFrame, settings: NearDuplicates) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a prompt table: kept, and removed (prompt_id, prompt, score = exact Jaccard, kept_id)."""
    sets = [shingles(text, settings.ngram) for text in table["prompt"]]
    bands = bands_for(settings.threshold, settings.permutations)
    sketches = signatures(sets, settings.permutations, settings.seed)
    rows_per_band = settings.permutations // bands
    buckets: list[dict[bytes, list[int]]] = [{} for _ in range(bands)]
    twin: dict[frozenset[str], int] = {}
    partner = np.full(len(sets), -1, np.int64)
    score = np.zeros(len(sets))
    for row, items in enumerate(sets):
        if items in twin:  # the same shingles: no need to look further
            partner[row], score[row] = twin[items], 1.0
            continue
        keys = [sketches[row, b * rows_per_band : (b + 1) * rows_per_band].tobytes() for b in range(bands)]
        candidates = {other for bucket, key in zip(buckets, keys) for other in bucket.get(key, ())}
        for other in sorted(candidates):
            similarity = jaccard(items, sets[other])
            if similarity >= settings.threshold and similarity > score[row]:
                partner[row], score[row] = other, similarity
        if partner[row] < 0:
            twin[items] = row
            for bucket, key in zip(buckets, keys):
                bucket.setdefault(key, []).append(row)
    return split(table, partner, score)


def split(table: pd.DataFrame, partner: np.ndarray, score: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Kept and removed rows, given for each row the row that stays instead (−1: it stays itself) and the similarity."""
    ids, gone = table["prompt_id"].to_numpy(), partner >= 0
    removed = (
        table.loc[gone, ["prompt_id", "prompt"]]
        .assign(score=score[gone], kept_id=ids[partner[gone]])
        .astype({"kept_id": "str"})
    )
    return table[~gone].reset_index(drop=True), removed.reset_index(drop=True)
