"""Removal of semantic duplicates: cosine similarity of CLIP text embeddings, searched exactly.

The earliest prompt stays; a prompt is removed if it reaches the threshold with a prompt that stays.
"""

import numpy as np
import pandas as pd

from pnapo.config.schema import Semantic
from pnapo.prompts.near_duplicates import split

BLOCK = 2048


def embed_texts(prompts: list[str], settings: Semantic, device: str) -> np.ndarray:
    """Unit CLIP text embeddings, float32 [N, D]."""
    from pnapo.rewards.openclip import OpenCLIP

    clip = OpenCLIP(settings.clip, weights=settings.pretrained, device=device)
    return clip.texts(prompts, settings.batch).numpy()


def remove_semantic_duplicates(
    table: pd.DataFrame, embeddings: np.ndarray, settings: Semantic
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Split a prompt table by its unit embeddings [N, D].

    Returns kept, removed (prompt_id, prompt, score = cosine, kept_id) and the embeddings of the kept ones.
    """
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    partner = np.full(len(embeddings), -1, np.int64)
    score = np.zeros(len(embeddings))
    for start in range(0, len(embeddings), BLOCK):
        limits, similarity, found = index.range_search(embeddings[start : start + BLOCK], settings.threshold - 1e-6)
        for offset in range(len(limits) - 1):
            row = start + offset
            near = slice(int(limits[offset]), int(limits[offset + 1]))
            # Rows come in order, so whether an earlier one stays is already decided.
            order = np.lexsort((found[near], -similarity[near]))
            for other, cosine in zip(found[near][order], similarity[near][order]):
                if other < row and partner[other] < 0 and cosine >= settings.threshold:
                    partner[row], score[row] = other, float(cosine)
                    break
    kept, removed = split(table, partner, score)
    return kept, removed, embeddings[partner < 0]
