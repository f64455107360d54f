"""What a training is watched for."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Section


class Watch(Section):
    """From where on a training is said to go wrong, and what follows (docs/warnings.md). It changes none that goes well, so
    none is made again because of it."""

    on_trouble: Literal["warn", "stop"] = Field(
        "warn",
        description="What follows a warning: warn, the training goes on; stop, it ends, and the checkpoint holds the last "
        "weights from before the trouble. A number that is not finite always ends it: with warn, without a checkpoint.",
    )
    window: int = Field(20, ge=2, description="Steps that a mean is taken over.")
    gradient: float = Field(
        10.0, gt=1, description="A gradient explodes at this many times its running median, before clipping."
    )
    growth: float = Field(
        0.3, gt=0, description="Growth of the winner's and the loser's error above the reference's, as a share of it."
    )
    accuracy: float = Field(
        4.0,
        gt=0,
        description="Implicit accuracy is below chance, or has lost what it had, by this many standard errors.",
    )
    drift: float = Field(
        0.5, gt=0, description="Least distance from the reference, ‖v − v_ref‖ over ‖v_ref − u‖, that is far."
    )
    spread: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Median of f = tanh(gap/2) below which a reward does not tell the images of a pair apart.",
    )
    outlier: float = Field(100.0, gt=1, description="A gap is degenerate at this many times the median.")
