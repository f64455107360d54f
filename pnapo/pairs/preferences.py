"""What training sees: sextuples (prompt, two latents, two prior noises, reward gap) as a view of pair set and labels."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pnapo.artifacts import read_table
from pnapo.errors import UserError
from pnapo.pairs.labels import require_labels
from pnapo.pairs.store import PairSet


class Rows:
    """One sample of each of N pairs as if it were a tensor, float32 [N, C, h, w]; what is indexed is read from the files.

    At 1024² a pair's two latents and two noises are 4 MiB, and every process of a training would hold all of them.
    """

    def __init__(self, read: Callable[[Sequence[int], Sequence[int]], torch.Tensor], rows: list[int], which: list[int]):
        self._read, self._rows, self._which = read, rows, which
        self.shape = torch.Size((len(rows), *read(rows[:1], which[:1]).shape[1:]))

    def __len__(self) -> int:
        return len(self._rows)

    def dim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: int | slice | Sequence[int] | torch.Tensor) -> torch.Tensor:
        places = torch.arange(len(self))[index]
        found = [[of[place] for place in places.reshape(-1).tolist()] for of in (self._rows, self._which)]
        return self._read(*found).view(*places.shape, *self.shape[1:])


@dataclass(frozen=True)
class PreferencePairs:
    """Pairs without ties: latents x0 and prior noises xT of winner (w) and loser (l), each float32 [N, C, h, w].

    Of images from elsewhere, which have no noise, xT is [N, 0, 0, 0]. `prompt_ids` are those of pairs (`artifacts.prompt_of`).
    `gap` [N] (float64) is in the reward's raw units, > 0; `settings` are those the pairs were generated with. What they
    are made from besides prompts and gaps is hashed in `made_from`, whatever the shards, and in `digest` with the shards' bits.
    """

    prompt_ids: list[str]
    x0_w: torch.Tensor | Rows
    x0_l: torch.Tensor | Rows
    xT_w: torch.Tensor | Rows
    xT_l: torch.Tensor | Rows
    gap: torch.Tensor
    settings: dict
    made_from: str = ""
    digest: str = ""


def load_pairs(
    manifest: Path | str,
    labels: Path | str,
    *,
    min_gap: float = 0.0,
    first: int | None = None,
    shuffle: int | None = None,
) -> PreferencePairs:
    """Join a pair set with its labels; ties, and pairs with a gap (raw units) below `min_gap`, are left out.

    `first` takes that many prompts from the beginning of the pair set, before anything else is left out. With a seed in
    `shuffle`, noises are those of other prompts (`PairSet.shuffled`).

    Raises UserError if the labels are of another pair set, if no pair is left, or if a file is damaged.
    """
    table = read_table(labels, ["prompt_id", "winner", "loser", "gap", "tie"])
    pairs = PairSet.open(manifest)
    if list(table["prompt_id"]) != pairs.prompt_ids:
        raise UserError(f"{labels}: labels of another pair set than {manifest}; delete it and run again")
    require_labels(labels, table, pairs.samples)
    table = table.head(first or len(table))
    decided = table[~table["tie"]]
    if decided.empty:
        raise UserError(
            f"{labels}: all {len(table)} pairs are tied, so there is no preference to learn; "
            "use another reward, or more varied samples"
        )
    kept = decided[decided["gap"] >= min_gap]
    if kept.empty:
        raise UserError(f"{labels}: no pair has a gap of {min_gap} or more; the largest is {decided['gap'].max():.3g}")
    if shuffle is not None:
        pairs = pairs.shuffled(shuffle)
    told = [pairs.settings, shuffle, kept["winner"].tolist(), kept["loser"].tolist()]
    rows, winner, loser = list(kept.index), list(kept["winner"]), list(kept["loser"])
    return PreferencePairs(
        prompt_ids=list(kept["prompt_id"]),
        x0_w=Rows(pairs.latent, rows, winner),
        x0_l=Rows(pairs.latent, rows, loser),
        xT_w=Rows(pairs.noise, rows, winner),
        xT_l=Rows(pairs.noise, rows, loser),
        gap=torch.from_numpy(kept["gap"].to_numpy().copy()),
        settings=pairs.settings,
        made_from=hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
        digest=pairs.digest,
    )
