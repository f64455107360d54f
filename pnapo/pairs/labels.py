"""Labels: the score of every sample by a reward, and from it winner, loser and reward gap (paper section 4.1).

Labels lie beside the tensors and never change them; scores and gaps are in the reward's raw units.
"""

import numpy as np
import pandas as pd

from pnapo.backbones import Backbone
from pnapo.errors import UserError
from pnapo.pairs.store import PairSet
from pnapo.rewards import Scorer


def score_samples(
    pairs: PairSet, prompts: pd.DataFrame, backbone: Backbone, scorer: Scorer, batch: int = 32
) -> np.ndarray:
    """Scores [N, S] of every sample: its latent decoded and judged with its prompt.

    Raises UserError if the prompt table lacks a prompt of the pair set, or if a score is not finite.
    """
    texts = dict(zip(prompts["prompt_id"], prompts["prompt"]))
    missing = [prompt_id for prompt_id in pairs.prompt_ids if prompt_id not in texts]
    if missing:
        raise UserError(f"the prompt table has no prompt {missing[0]} of the pair set; both must come from one run")
    flat = pairs.latent.flatten(0, 1)
    images = [image for part in flat.split(batch) for image in backbone.decode(part)]
    captions = [texts[prompt_id] for prompt_id in pairs.prompt_ids for _ in range(pairs.samples)]
    scores = np.asarray(scorer.score(images, captions), np.float32).reshape(len(pairs.prompt_ids), pairs.samples)
    bad = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(bad):
        raise UserError(f"the reward gave a score that is not finite to prompt {pairs.prompt_ids[bad[0]]}")
    return scores


def label(prompt_ids: list[str], scores: np.ndarray) -> pd.DataFrame:
    """The label table: prompt_id, score_0 …, winner, loser, gap ≥ 0 (raw units) and tie.

    The winner is the first sample of the highest score, the loser the first of the lowest. In a tie all scores are equal;
    it is kept with winner 0, loser 1, gap 0 and marked.
    """
    winner, loser = scores.argmax(1), scores.argmin(1)
    rows = np.arange(len(scores))
    gap = scores[rows, winner].astype(np.float64) - scores[rows, loser].astype(np.float64)
    tie = gap == 0
    table = pd.DataFrame({"prompt_id": prompt_ids})
    for index in range(scores.shape[1]):
        table[f"score_{index}"] = scores[:, index]
    table["winner"] = np.where(tie, 0, winner).astype(np.int64)
    table["loser"] = np.where(tie, 1, loser).astype(np.int64)
    table["gap"] = gap
    table["tie"] = tie
    return table
