"""Learned rewards behind one protocol: images and prompts in, one score each out."""

from pnapo.config.schema import Reward
from pnapo.rewards.base import Scorer

__all__ = ["Scorer", "load_reward"]


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
    if reward.kind == "imagereward":
        from pnapo.rewards.imagereward import ImageReward

        return ImageReward(reward, device)
    if reward.kind == "external":
        from pnapo.rewards.external import External

        return External(reward, device)
    from pnapo.rewards.aesthetic import Aesthetic

    return Aesthetic(reward, device)
