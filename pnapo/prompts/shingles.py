"""Prompts as sets of word n-grams: as text, by hand, and as sorted integers for whole lists of prompts."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

_WORD = re.compile(r"\w+")
_CHUNK = 1 << 16  # prompts turned into numbers at a time


def words(text: str) -> list[str]:
    """The words of a text, without case, punctuation and accents' encoding.

    A text without words (only emoji, say) is one word, its own characters.
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold()) or [text.strip()]


def shingles(text: str, ngram: int) -> frozenset[str]:
    """The word n-grams of a text; a text of fewer words is one shingle."""
    found = words(text)
    return frozenset(" ".join(found[i : i + ngram]) for i in range(max(1, len(found) - ngram + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a ∩ b| / |a ∪ b|."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


class ShingleSets(NamedTuple):
    """The shingle sets of N prompts. Shingles are numbered by how many prompts have them, the rarest 0.

    `keys` uint64 [T] are row·2³² + shingle, ascending, so that the shingles of a row, rarest first, are
    keys[offsets[row] : offsets[row + 1]] without the row. Shingles are told apart by 64-bit hashes: among ten million,
    the chance that any two are taken for one is 3·10⁻⁶.
    """

    keys: np.ndarray
    offsets: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Shingles of each prompt, int64 [N]."""
        return np.diff(self.offsets)


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 so that every bit of the result hangs on every bit of the value (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shingle_sets(prompts: Iterable[str], ngram: int) -> ShingleSets:
    """The shingle sets of a list of prompts; the same whatever the order of words' first appearance."""
    parts = list(_hashed(prompts, ngram))
    hashes = np.concatenate([found for found, _ in parts]) if parts else np.empty(0, np.uint64)
    counts = np.concatenate([count for _, count in parts]) if parts else np.empty(0, np.int64)
    del parts
    _, ids, frequency = np.unique(hashes, return_inverse=True, return_counts=True)
    del hashes
    rank = np.empty(len(frequency), np.uint32)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency), dtype=np.uint32)
    keys = np.repeat(np.arange(len(counts), dtype=np.uint64) << np.uint64(32), counts)
    keys |= rank[ids].astype(np.uint64)
    del ids
    keys.sort()
    if len(keys):
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    rows = (keys >> np.uint64(32)).astype(np.int64)
    return ShingleSets(keys, np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(counts)))]))


def _hashed(prompts: Iterable[str], ngram: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each chunk of prompts: the hashes of all their shingles, one prompt after the other, and how many each has."""
    known: dict[str, int] = {}
    flat: list[int] = []
    lengths: list[int] = []
    for prompt in prompts:
        found = words(prompt)
        for word in found:
            if word not in known:
                known[word] = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        flat.extend([known[word] for word in found])
        lengths.append(len(found))
        if len(lengths) == _CHUNK:
            yield _combine(np.array(flat, np.uint64), np.array(lengths), ngram)
            flat, lengths = [], []
    if lengths:
        yield _combine(np.array(flat, np.uint64), np.array(lengths), ngram)


def _combine(flat: np.ndarray, lengths: np.ndarray, ngram: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of n-grams from those of words, in the order of the text; rows of fewer words have one shingle."""
    counts = np.maximum(1, lengths - ngram + 1)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    first = np.repeat(starts, counts) + ragged(counts)
    width = np.repeat(np.minimum(lengths, ngram), counts)
    found = mix(width.astype(np.uint64))
    for position in range(ngram):
        inside = position < width
        found[inside] = mix(found[inside] * np.uint64(0x9E3779B97F4A7C15) + flat[first[inside] + position])
    return found, counts


def ragged(counts: np.ndarray) -> np.ndarray:
    """0 … counts[0] − 1, 0 … counts[1] − 1, and so on, int64."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)
