"""k-means clusters of the CLIP text embeddings (the paper's 100 "KNN" clusters), so that resampling keeps the variety."""

import numpy as np

from pnapo.config.schema import Clusters
from pnapo.errors import UserError


def cluster(embeddings: np.ndarray, settings: Clusters) -> np.ndarray:
    """The cluster of each unit embedding [N, D], int64 [N]; spherical k-means, the same for the same input on one machine.

    Raises UserError if there are fewer (distinct) prompts than clusters, or if an embedding is not finite.
    """
    import faiss

    if not np.isfinite(embeddings).all():
        raise UserError("prompts: an embedding is not finite; check the CLIP weights of prompts.semantic")
    distinct = len(np.unique(embeddings, axis=0))
    if distinct < settings.count:
        raise UserError(
            f"prompts.clusters.count: {settings.count} clusters need as many different prompts, "
            f"only {distinct} are left; lower it or give more prompts"
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
    kmeans.train(np.ascontiguousarray(embeddings, np.float32))
    _, found = kmeans.index.search(embeddings, 1)
    return found[:, 0].astype(np.int64)
