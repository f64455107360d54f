"""k-means clusters of the CLIP text embeddings (the paper's 100 "KNN" clusters), so that resampling keeps the variety."""

import numpy as np

from pnapo.config.schema import Clusters
from pnapo.errors import UserError

SAMPLE = 1000  # embeddings a centre is trained on; of fewer, all
BLOCK = 65536  # rows read at a time


def cluster(embeddings: np.ndarray, settings: Clusters) -> np.ndarray:
    """The cluster of each unit embedding [N, D], int64 [N]; spherical k-means, the same for the same input on one machine.

    The embeddings may be memory-mapped: centres are trained on a seeded sample where there are more than a thousand
    embeddings for each, and all are assigned block by block. Raises UserError if there are fewer (distinct) prompts than
    clusters, or if an embedding is not finite.
    """
    import faiss

    distinct: set[bytes] = set()
    for start in range(0, len(embeddings), BLOCK):
        part = np.ascontiguousarray(embeddings[start : start + BLOCK], np.float32)
        if not np.isfinite(part).all():
            raise UserError("prompts: an embedding is not finite; check the CLIP weights of prompts.semantic")
        if len(distinct) < settings.count:
            for row in part:  # no more than are needed: each is a copy
                distinct.add(row.tobytes())
                if len(distinct) == settings.count:
                    break
    if len(distinct) < settings.count:
        raise UserError(
            f"prompts.clusters.count: {settings.count} clusters need as many different prompts, "
            f"only {len(distinct)} are left; lower it or give more prompts"
        )
    faiss.omp_set_num_threads(1)
    kmeans = faiss.Kmeans(
        embeddings.shape[1],
        settings.count,
        niter=settings.iterations,
        seed=settings.seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=2**31 - 1,
    )
    rows = slice(None)
    if len(embeddings) > SAMPLE * settings.count:
        rng = np.random.default_rng(settings.seed)
        rows = np.sort(rng.choice(len(embeddings), SAMPLE * settings.count, replace=False))
    kmeans.train(np.ascontiguousarray(embeddings[rows], np.float32))
    found = np.empty(len(embeddings), np.int64)
    for start in range(0, len(embeddings), BLOCK):
        part = np.ascontiguousarray(embeddings[start : start + BLOCK], np.float32)
        found[start : start + BLOCK] = kmeans.index.search(part, 1)[1][:, 0]
    return found
