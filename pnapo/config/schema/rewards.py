"""Who says which image of a pair is better: a reward, or several at once."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pnapo.config.schema.base import Name, Positive, Section

GIVEN = "given"  # the labels that a data set comes with


class Reward(Section):
    """A learned reward."""

    kind: Literal["hps", "pickscore", "clip", "aesthetic", "imagereward", "external"] = Field(
        description="How the model scores."
    )
    model: str = Field(
        description="hps, clip, aesthetic: an open_clip model; pickscore: a transformers CLIPModel folder; imagereward: the "
        "folder of ImageReward.pt and med_config.json; external: what its program loads."
    )
    weights: str | None = Field(
        None, description="clip, aesthetic: open_clip's weights tag or file (none for local-dir)."
    )
    checkpoint: str | None = Field(
        None,
        description="hps: the weights file of HPSv2 or HPSv2.1; aesthetic: the head's of v1 or v2; external: a file for its "
        "program.",
    )
    tokenizer: str | None = Field(None, description="imagereward: the folder of bert-base-uncased's tokenizer.")
    program: str | None = Field(None, description="external: the program that scores, see docs/rewards.md.")
    python: str | None = Field(
        None, description="external: the Python of its environment; if none, the one that runs the job."
    )
    scale: Annotated[float, Field(gt=0)] = Field(
        1.0, description="external: what tables multiply its scores by; the other kinds have their papers'."
    )
    batch: Positive = Field(64, description="Images scored at once.")

    @property
    def network(self) -> str:
        """The network and its weights in words, for captions: which CLIP, which version."""
        model, file = Path(self.model.removeprefix("local-dir:")).name, self.checkpoint or self.weights
        if self.kind == "external":
            model = " ".join(part for part in (Path(self.program or "").stem, model) if part)
        if self.kind == "imagereward":
            file = "ImageReward.pt"
        return f"{model} ({Path(file).name})" if file else model


class Preference(Section):
    """A preference by several rewards at once, as CaPO has it: calibrated win rates, pairs from non-dominated frontiers.

    A run names it in `reward`, like a reward, with `reward_scale: raw`. A loss's target and f are then the difference of
    calibrated win rates, between 0 and 1. Prompts whose images cannot be ordered are left out: of two images, those where
    two rewards disagree; more `pairs.samples` leave fewer.
    """

    rewards: dict[Name, Literal["auto", "raw"] | Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="Names under `rewards`, each with its factor to logits, the scale on which a difference of x wins with "
        "σ(x); auto: the median of tanh(difference/2) of a prompt's best and worst image is ½; raw: 1.",
    )
    pairing: Literal["frontier", "mean"] = Field(
        "frontier",
        description="frontier: one of the images that none dominates against one that dominates none; mean: the best "
        "against the worst by the mean over rewards.",
    )
    seed: int = Field(
        0, ge=0, description="Seed of the draw, once for each prompt, where a frontier has several images."
    )
