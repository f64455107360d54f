"""Counter-based random streams: every draw is a pure function of its key, on any machine and in any order."""

import hashlib

import numpy as np


def stream(*key: str | int) -> np.random.Generator:
    """A generator of its own for each key, e.g. ("time", seed, prompt_id, epoch).

    Philox-4x64 keyed with the BLAKE2b hash of the parts; parts of different type or boundary never collide.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def prior_noise(seed: int, prompt_id: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """The prior noise xT of one sample, float32 N(0, I) of `shape`, keyed by (seed, prompt, sample index)."""
    return stream("prior noise", seed, prompt_id, index).standard_normal(shape, dtype=np.float32)
