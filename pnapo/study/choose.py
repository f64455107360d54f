"""Which pictures a study shows, in which order, and which of them stands left.

Every draw is made from a counter-based stream whose key holds pictures, never names of runs: what is shown is the same
whatever the runs are called and in whichever order they are given, so nothing in it can tell which run is which. Nor can
the sides be worked out from the seed: of the two pictures each has a draw of its own.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import require_intact
from pnapo.artifacts.images import encode_png, pngs_of
from pnapo.errors import UserError
from pnapo.flow.random import stream
from pnapo.report.images import open_picture

CHUNK = 64  # prompts whose pictures are in memory at a time


@dataclass(frozen=True)
class Picture:
    """A picture as shown: PNG of nothing but the pixels, so that no metadata tells where it comes from."""

    png: bytes
    size: tuple[int, int]
    sha256: str  # of the pixels

    @classmethod
    def of(cls, png: bytes) -> "Picture":
        """The picture of any PNG."""
        pixels = np.array(open_picture(png))
        return cls(encode_png(pixels), pixels.shape[1::-1], hashlib.sha256(pixels.tobytes()).hexdigest())


@dataclass(frozen=True)
class Pair:
    """Two pictures for one prompt and one noise, and the runs that made them."""

    prompt_id: str
    prompt: str
    runs: tuple[str, str]  # left, right
    pictures: tuple[Picture, Picture]


def choose(manifests: Mapping[str, Path], prompts: pd.DataFrame, count: int, seed: int) -> list[Pair]:
    """`count` pairs in the order in which they are shown, each of another prompt (columns prompt_id, prompt).

    `manifests` are the runs' images; the first sample of a prompt is shown. Every two runs meet equally often, or once
    more where `count` does not allow it. Pictures that are equal to the last bit are skipped. Raises UserError if the
    images are damaged or made with different settings, or if too few of them differ.
    """
    digests = _digests(manifests)
    runs = sorted(manifests, key=digests.get)
    rng = stream("study", seed, *sorted(digests.values()))
    pairings = list(combinations(runs, 2))
    if count < len(pairings):
        raise UserError(f"--pairs {count}: {len(runs)} runs have {len(pairings)} pairings; ask for that many or more")
    pairings = [pairings[i] for i in rng.permutation(len(pairings))]
    left = {pairing: count // len(pairings) + (i < count % len(pairings)) for i, pairing in enumerate(pairings)}
    chosen = []
    for prompt_id, prompt, pictures in _candidates(manifests, prompts, seed):
        open_ = [(a, b) for a, b in pairings if left[a, b] and pictures[a].sha256 != pictures[b].sha256]
        if open_:
            pairing = max(open_, key=left.get)
            left[pairing] -= 1
            chosen.append(_sides(prompt_id, prompt, pairing, pictures, seed))
        if len(chosen) == count:
            return [chosen[i] for i in rng.permutation(count)]
    lacking = next(sorted(pairing) for pairing in pairings if left[pairing])
    raise UserError(
        f"--pairs {count}: of {len(prompts)} prompts, only {len(chosen)} have pictures to compare; those of "
        f"{' and '.join(lacking)} are too often the same. Ask for {len(chosen)} pairs or fewer"
    )


def _digests(manifests: Mapping[str, Path]) -> dict[str, str]:
    """The digest of each run's images, which must be intact and made with the same settings."""
    found = {run: require_intact(manifest, "images") for run, manifest in manifests.items()}
    (first, reference), *others = found.items()
    for run, manifest in others:
        ours, theirs = manifest["settings"], reference["settings"]
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                raise UserError(
                    f"{manifests[run]}: made with {key} {ours.get(key)}, but that of {first} with {theirs.get(key)}; "
                    "make both alike"
                )
    return {run: manifest["files"]["images.parquet"]["sha256"] for run, manifest in found.items()}


def _candidates(
    manifests: Mapping[str, Path], prompts: pd.DataFrame, seed: int
) -> Iterator[tuple[str, str, dict[str, Picture]]]:
    """Prompts in random order, each with the runs' pictures. A prompt's place hangs on itself and the seed alone."""
    rows = sorted(
        prompts[["prompt_id", "prompt"]].itertuples(index=False, name=None),
        key=lambda row: stream("study prompt", seed, row[0]).random(),
    )
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        ids = [prompt_id for prompt_id, _ in chunk]
        pictures = {run: pngs_of(manifest, ids) for run, manifest in manifests.items()}
        for prompt_id, prompt in chunk:
            yield prompt_id, prompt, {run: Picture.of(pngs[prompt_id]) for run, pngs in pictures.items()}


def _sides(prompt_id: str, prompt: str, runs: Sequence[str], pictures: Mapping[str, Picture], seed: int) -> Pair:
    """The picture with the smaller draw stands left."""
    a, b = sorted(runs, key=lambda run: stream("study side", seed, prompt_id, pictures[run].sha256).random())
    return Pair(prompt_id, prompt, (a, b), (pictures[a], pictures[b]))
