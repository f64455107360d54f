"""Learned rewards behind one protocol: images and prompts in, one score each out."""

from typing import Protocol

import numpy as np

from pnapo.config.schema import Reward

__all__ = ["Scorer", "load_reward"]


class Scorer(Protocol):
    """A loaded reward.

    `display_scale` is what tables multiply raw scores by (100 for cosines, as all papers print them).
    """

    display_scale: float

    def score(self, images: list[np.ndarray], prompts: list[str]) -> np.ndarray:
        """Raw scores, float32 [N], of uint8 images [H, W, 3] and their prompts."""


def load_reward(reward: Reward, device: str = "cpu") -> Scorer:
    """Load a reward from its official files. Raises UserError if one is missing or does not fit."""
    if reward.kind == "hps":
        from pnapo.rewards.hps import HPS

        return HPS(reward, device)
    if reward.kind == "pickscore":
        from pnapo.rewards.pickscore import PickScore

        return PickScore(reward, device)
    if reward.kind == "clip":
        from pnapo.rewards.clip import CLIPScore

        return CLIPScore(reward, device)
    from pnapo.rewards.aesthetic import Aesthetic

    return Aesthetic(reward, device)
