"""Labels: the score of every sample by a reward, and from it winner, loser and reward gap (paper section 4.1).

Labels lie beside the tensors and never change them; scores and gaps are in the reward's raw units.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import prompt_of
from pnapo.artifacts.images import Images
from pnapo.artifacts.seal import AGAIN
from pnapo.errors import UserError
from pnapo.rewards import Scorer

KINDS = {"winner": "iu", "loser": "iu", "gap": "f", "tie": "b"}  # of columns: whole numbers, numbers, true or false
REPORT_EVERY = 16  # batches between two lines of progress


def score_samples(
    images: Images,
    prompts: pd.DataFrame,
    scorer: Scorer,
    *,
    reward: str = "",
    log: Callable[[str], None] = print,
) -> np.ndarray:
    """Scores [N, S] of every sample of a pair set from its images: prompt by prompt, each judged with its prompt.

    Raises UserError if the prompt table lacks a prompt of the pair set, or if a score is not finite; `reward` is the name
    in that message.
    """
    texts, ids = dict(zip(prompts["prompt_id"], prompts["prompt"])), list(map(prompt_of, images.table["prompt_id"]))
    missing = [prompt_id for prompt_id in ids if prompt_id not in texts]
    if missing:
        raise UserError(f"the prompt table has no prompt {missing[0]} of the pair set; both must come from one run")
    scores, done, start = np.empty(len(images), np.float32), 0, time.monotonic()
    found = scorer.score_prepared(images.map(scorer.prepare), [texts[prompt_id] for prompt_id in ids])
    for number, part in enumerate(found):
        for row in np.flatnonzero(~np.isfinite(part)):
            text = texts[ids[done + row]]
            shown = ascii(text if len(text) <= 60 else f"{text[:59]}…")
            raise UserError(
                f"the reward {reward} gave a score that is not finite to prompt {ids[done + row]} ({shown})"
            )
        scores[done : done + len(part)] = part
        done += len(part)
        if number % REPORT_EVERY == REPORT_EVERY - 1 or done == len(images):
            left = (time.monotonic() - start) / done * (len(images) - done)
            log(f"labels: {done}/{len(images)} images, {left:.0f} s left")
    return scores.reshape(images.table["prompt_id"].nunique(), -1)


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


def require_labels(path: Path | str, table: pd.DataFrame, samples: int, advice: str = AGAIN) -> None:
    """Raise UserError that names the first row that is no label: two samples of a prompt, and a gap or a tie."""
    wrong = next((name for name, kinds in KINDS.items() if table[name].dtype.kind not in kinds), None)
    if wrong:
        raise UserError(f"{path}: its column {wrong} does not hold what labels hold; {advice}")
    known = table[["winner", "loser"]].isin(range(samples)).all(axis=1)
    gap, tie = table["gap"].to_numpy(np.float64), table["tie"].to_numpy()
    good = known & (table["winner"] != table["loser"]) & np.isfinite(gap) & np.where(tie, gap == 0, gap > 0)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise UserError(f"{path}: row {row} is no label (two samples, and a gap above 0 or a tie); {advice}")
