"""Semantic duplicates and clusters of many embeddings, memory-mapped from a file. Prints JSON.

Embeddings are made up like those of CLIP: a common direction, topics, subtopics, and one in ten a near copy of another.
`--sample` rows are checked against brute force over all rows that stay before them.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write_embeddings(path: Path, count: int, dims: int, seed: int) -> np.ndarray:
    """Unit embeddings float32 [count, dims] in a file, opened read-only."""
    rng = np.random.default_rng(seed)
    common, topics = rng.normal(size=dims), rng.normal(size=(200, dims))
    subtopics = rng.normal(size=(max(1, count // 50), dims)).astype(np.float32)
    made = np.lib.format.open_memmap(path, "w+", np.float32, (count, dims))
    for start in range(0, count, 65536):
        size = min(65536, count - start)
        which = rng.integers(len(subtopics), size=size)
        part = common + 0.8 * topics[which % 200] + 0.6 * subtopics[which] + 0.5 * rng.normal(size=(size, dims))
        copies = np.flatnonzero(rng.random(size) < 0.1)
        part[copies] = part[rng.integers(size, size=len(copies))] + 0.15 * rng.normal(size=(len(copies), dims))
        made[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
    made.flush()
    return np.load(path, mmap_mode="r")


def brute_force(embeddings: np.ndarray, partner: np.ndarray, threshold: float, sample: int) -> tuple[int, int]:
    """Wrong decisions, and duplicates, among `sample` rows, each compared with all rows that stay before it."""
    rows = np.unique(np.linspace(0, len(embeddings) - 1, sample).astype(np.int64))
    asked, best = embeddings[rows], np.full(len(rows), -1.0)
    for start in range(0, len(embeddings), 65536):
        part = np.arange(start, min(start + 65536, len(embeddings)))
        part = part[partner[part] < 0]
        cosine = asked @ embeddings[part].T
        cosine[part[None] >= rows[:, None]] = -1
        best = np.maximum(best, cosine.max(1, initial=-1))
    sure = np.abs(best - threshold) > 1e-5
    return int(((best >= threshold) != (partner[rows] >= 0))[sure].sum()), int((best >= threshold).sum())


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--folder", help="where the file of embeddings goes for a while")
    args = parser.parse_args(argv)

    from pnapo.config.schema import Clusters
    from pnapo.prompts.clusters import cluster
    from pnapo.prompts.semantic import duplicates

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        embeddings = write_embeddings(Path(folder) / "embeddings.npy", args.count, args.dims, 0)
        began = time.perf_counter()
        partner, _ = duplicates(embeddings, args.threshold)
        middle = time.perf_counter()
        found = cluster(embeddings, Clusters(count=100))
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
        wrong, duplicated = brute_force(embeddings, partner, args.threshold, args.sample)
    print(
        json.dumps(
            {
                "name": "semantic duplicates",
                "embeddings": [args.count, args.dims],
                "removed": int((partner >= 0).sum()),
                "seconds": round(middle - began, 1),
                "clusters_seconds": round(ended - middle, 1),
                "largest_cluster": int(np.bincount(found).max()),
                "peak_gib": round(peak, 2),
                "sample": args.sample,
                "duplicates_in_sample": duplicated,
                "wrong_in_sample": wrong,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
