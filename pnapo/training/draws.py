"""What is random in training, as pure functions of position: the order of the pairs, and each visit's time and noise.

The order depends on the training seed alone. Time and fresh noise depend on (draw seed, prompt, how often the pair was
seen before) alone: runs with other losses, batch sizes or training seeds meet the same draws, so that differences
between them are paired, and share the frozen reference's errors.
"""

from typing import NamedTuple

import numpy as np

from pnapo.flow.random import stream
from pnapo.flow.times import time_at


class Visits(NamedTuple):
    """The pairs of one forward pass: index [B] into the pair set, and how often each was seen before, [B]."""

    indices: np.ndarray
    visits: np.ndarray


def visits_at(position: int, size: int, count: int, seed: int) -> Visits:
    """The `size` pairs from `position` on, in a sequence that runs through all `count` pairs once per epoch.

    Each epoch is a permutation of its own, keyed by the training seed; a batch may reach into the next epoch.
    """
    positions = np.arange(position, position + size)
    epochs = positions // count
    indices = np.empty(size, dtype=np.int64)
    for epoch in np.unique(epochs):
        order = stream("order", seed, int(epoch)).permutation(count)
        here = epochs == epoch
        indices[here] = order[positions[here] % count]
    return Visits(indices, epochs)


def draw(
    seed: int, prompt_id: str, visit: int, *, sampling: str, fresh: int, shape: tuple[int, ...]
) -> tuple[float, np.ndarray]:
    """Time t in (0, 1) and `fresh` noises, float32 [fresh, *shape], of one visit of one pair.

    The time comes first in the stream, so that paths with and without fresh noise share it.
    """
    rng = stream("draw", seed, prompt_id, int(visit))
    t = time_at(rng.random(), sampling)
    return t, rng.standard_normal((fresh, *shape), dtype=np.float32)
