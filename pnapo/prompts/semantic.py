"""Removal of semantic duplicates: cosine similarity of CLIP text embeddings, by a search that misses no pair.

The earliest prompt stays; a prompt is removed if it reaches the threshold with a prompt that stays.

Embeddings are sorted into cells, each that of its nearest of K centres. An embedding x of cell a has a similar one in cell b
only if x·(a − b) ≤ |x − y|·|a − b| with |x − y| ≤ √(2 − 2s): the plane between two centres lies no farther from x than y
may. So x is compared with the cells within reach alone, and the result is that of brute force, whatever the centres.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from pnapo.artifacts import read_tensors, require_seal, tensor_writer
from pnapo.config.schema import Semantic
from pnapo.errors import UserError
from pnapo.prompts.greedy import Pairs, decide, split

BLOCK = 2048  # rows compared at a time, with each other and with all that stay before them
CELL = 400  # embeddings a cell holds on average
SLACK = 1e-4  # of products in single precision; what comes near the threshold is computed again in double


def remove_semantic_duplicates(
    table: pd.DataFrame, settings: Semantic, device: str, out: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a prompt table into kept and removed (prompt_id, prompt, score = cosine, kept_id), and write the kept ones'
    embeddings to `out`. All embeddings lie in a file beside it meanwhile, not in memory.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".embeddings.", dir=out.parent) as folder:
        everything = Path(folder) / "all.safetensors"
        write_embeddings(everything, len(table), embed_texts(list(table["prompt"]), settings, device))
        embeddings = read_embeddings(everything)
        partner, score = duplicates(embeddings, settings.threshold, Path(folder) / "kept.float32")
        rows = np.flatnonzero(partner < 0)
        parts = (embeddings[rows[start : start + BLOCK]] for start in range(0, len(rows), BLOCK))
        write_embeddings(out, len(rows), parts)
    return split(table, partner, score)


def embed_texts(prompts: list[str], settings: Semantic, device: str) -> Iterator[np.ndarray]:
    """Unit CLIP text embeddings, float32 [n, D], a block of prompts after the other."""
    from pnapo.rewards.openclip import OpenCLIP

    clip = OpenCLIP(settings.clip, weights=settings.pretrained, device=device)
    for start in range(0, len(prompts), BLOCK):
        yield clip.texts(prompts[start : start + BLOCK], settings.batch).numpy()


def write_embeddings(path: Path | str, count: int, parts: Iterable[np.ndarray]) -> None:
    """Write embeddings, float32 [count, D] in parts [n, D] of it."""
    import torch

    parts = iter(parts)
    first, row = next(parts), 0
    with tensor_writer(path, {"embeddings": (torch.float32, (count, first.shape[1]))}, seal=True) as put:
        for part in chain([first], parts):
            put("embeddings", row, torch.from_numpy(part))
            row += len(part)


def read_embeddings(path: Path | str) -> np.ndarray:
    """Embeddings, float32 [N, D], mapped from their file. Raises UserError if it is missing or damaged."""
    require_seal(path)
    return read_tensors(path)["embeddings"].numpy()


def duplicates(embeddings: np.ndarray, threshold: float, room: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """For each row the row that stays instead, int64 [N] (−1: it stays itself), and their cosine, float64 [N].

    Embeddings that stay are copied, sorted: into the file `room`, else into memory. Raises UserError if one is not finite.
    """
    count = len(embeddings)
    partner, score = np.full(count, -1, np.int64), np.zeros(count)
    cells = _Cells(embeddings, threshold, room)
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        similar = cells.similar(rows)
        earlier = similar.other < start
        gone = decide(similar.where(earlier), similar.where(~earlier))
        partner[gone.row], score[gone.row] = gone.other, gone.similarity
        cells.keep(rows[partner[rows] < 0])
    return partner, score


def centres_of(embeddings: np.ndarray, count: int) -> np.ndarray:
    """`count` unit vectors that lie among the embeddings, float32: k-means on a part of them."""
    import faiss

    faiss.omp_set_num_threads(1)
    rows = np.unique(np.linspace(0, len(embeddings) - 1, 64 * count).astype(np.int64))
    kmeans = faiss.Kmeans(
        embeddings.shape[1],
        count,
        niter=5,
        seed=0,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=64,
    )
    kmeans.train(np.ascontiguousarray(embeddings[rows], np.float32))
    return kmeans.centroids


class _Cells:
    """The embeddings that stay so far, cell by cell."""

    def __init__(self, embeddings: np.ndarray, threshold: float, room: Path | None):
        self.embeddings, self.threshold = embeddings, threshold
        count = max(1, len(embeddings) // CELL)
        self.centres = centres_of(embeddings, count) if count > 1 else np.zeros((1, embeddings.shape[1]), np.float32)
        double = self.centres.astype(np.float64)
        square = (double**2).sum(1)
        gaps = square[:, None] + square - 2 * double @ double.T
        self.reach = (np.sqrt(max(0.0, 2 - 2 * threshold)) * np.sqrt(np.maximum(gaps, 0)) + SLACK).astype(np.float32)
        self.cell = np.empty(len(embeddings), np.int32)
        for start in range(0, len(embeddings), BLOCK):
            part = embeddings[start : start + BLOCK]
            if not np.isfinite(part).all():
                raise UserError("prompts: an embedding is not finite; check the CLIP weights of prompts.semantic")
            self.cell[start : start + BLOCK] = (part @ self.centres.T).argmax(1)
        sizes = np.bincount(self.cell, minlength=count)
        self.first, self.filled = np.cumsum(sizes) - sizes, np.zeros(count, np.int64)
        self.rows = np.empty(len(embeddings), np.int64)
        shape = embeddings.shape
        self.stored = np.memmap(room, np.float32, "w+", shape=shape) if room else np.empty(shape, np.float32)

    def keep(self, rows: np.ndarray) -> None:
        """Enter embeddings that stay into their cells."""
        for cell in np.unique(self.cell[rows]):
            mine = rows[self.cell[rows] == cell]
            place = slice(self.first[cell] + self.filled[cell], self.first[cell] + self.filled[cell] + len(mine))
            self.rows[place], self.stored[place] = mine, self.embeddings[mine]
            self.filled[cell] += len(mine)

    def similar(self, rows: np.ndarray) -> Pairs:
        """The pairs of these consecutive rows with earlier ones, of them or kept before, that reach the threshold."""
        block = np.ascontiguousarray(self.embeddings[rows], np.float32)
        products = block @ self.centres.T
        own = self.cell[rows]
        near = products[np.arange(len(rows)), own][:, None] - products <= self.reach[own]
        found = []
        for cell in np.flatnonzero(near.any(0) & (self.filled > 0)):
            asking = np.flatnonzero(near[:, cell])
            place = slice(self.first[cell], self.first[cell] + self.filled[cell])
            one, other = np.nonzero(block[asking] @ self.stored[place].T >= self.threshold - SLACK)
            found.append((rows[asking[one]], self.rows[place][other]))
        among = block @ block.T
        among[np.triu_indices(len(rows))] = -np.inf  # each pair once, the later row first
        one, other = np.nonzero(among >= self.threshold - SLACK)
        found.append((rows[one], rows[other]))
        return self._exact(*(np.concatenate(parts) for parts in zip(*found)))

    def _exact(self, row: np.ndarray, other: np.ndarray) -> Pairs:
        """Those of the pairs that reach the threshold in double precision, the same in whatever order they are found."""
        similarity = np.empty(len(row))
        for start in range(0, len(row), BLOCK):
            part = slice(start, start + BLOCK)
            pair = (self.embeddings[row[part]].astype(np.float64), self.embeddings[other[part]].astype(np.float64))
            similarity[part] = np.einsum("nd,nd->n", *pair)
        return Pairs(row, other, similarity).where(similarity >= self.threshold)
