"""Labels: the score of every sample by a reward, and from it winner, loser and reward gap (paper section 4.1).

Labels lie beside the tensors and never change them; scores and gaps are in the reward's raw units.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from pnapo.backbones import Backbone
from pnapo.errors import UserError
from pnapo.pairs.store import PairSet
from pnapo.rewards import Scorer

IMAGES_AT_ONCE = 256  # decoded images held in memory


def score_samples(
    pairs: PairSet,
    prompts: pd.DataFrame,
    backbone: Backbone,
    scorer: Scorer,
    *,
    batch: int | None = None,
    reward: str = "",
    log: Callable[[str], None] = print,
) -> np.ndarray:
    """Scores [N, S] of every sample: its latent decoded and judged with its prompt.

    Latents are decoded in batches of exactly `batch` (default: as they were made). Raises UserError if the prompt table
    lacks a prompt of the pair set, or if a score is not finite; `reward` is the name in that message.
    """
    texts = dict(zip(prompts["prompt_id"], prompts["prompt"]))
    missing = [prompt_id for prompt_id in pairs.prompt_ids if prompt_id not in texts]
    if missing:
        raise UserError(f"the prompt table has no prompt {missing[0]} of the pair set; both must come from one run")
    batch, at_once = batch or pairs.settings["batch"], max(1, IMAGES_AT_ONCE // pairs.samples)
    scores, start = np.empty((len(pairs), pairs.samples), np.float32), time.monotonic()
    for first in range(0, len(pairs), at_once):
        ids = pairs.prompt_ids[first : first + at_once]
        done = first + len(ids)
        latents = pairs.latent(range(first, done)).flatten(0, 1)
        images = list(backbone.decode(latents, batch))
        captions = [texts[prompt_id] for prompt_id in ids for _ in range(pairs.samples)]
        scores[first:done] = np.asarray(scorer.score(images, captions), np.float32).reshape(len(ids), pairs.samples)
        for row in np.flatnonzero(~np.isfinite(scores[first:done]).all(1)):
            text = texts[ids[row]]
            shown = ascii(text if len(text) <= 60 else f"{text[:59]}…")
            raise UserError(f"the reward {reward} gave a score that is not finite to prompt {ids[row]} ({shown})")
        left = (time.monotonic() - start) / done * (len(pairs) - done)
        log(f"labels: {done}/{len(pairs)} prompts, {left:.0f} s left")
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
