"""What every run is measured by: test prompts, metrics, and how sure the tables are."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Name, Positive, Section


class TestSet(Section):
    """A list of test prompts and how images are made for it."""

    source: Literal["validation", "heldout", "freeform", "geneval"] | None = Field(
        None, description="A list written by the embedded world; leave empty when `path` is given."
    )
    path: str | None = Field(None, description="A prompt list, or GenEval's metadata .jsonl.")
    column: str = Field("prompt", description="The column (or JSON key) that holds the prompts.")
    count: Positive | None = Field(None, description="Use only the first so many prompts.")
    images: Positive = Field(1, description="Images per prompt.")
    steps: Positive = Field(50, description="Euler steps.")
    guidance: float = Field(1.0, ge=1, description="Guidance scale; 1 is off.")
    seed: int = Field(1, ge=0, description="Seed of the test noises, the same for every run.")
    batch: Positive = Field(16, description="Images made and decoded at once.")


class Metric(Section):
    """A number measured on the images of every run."""

    kind: Literal["reward", "geneval", "utility"] = Field(
        description="A reward, GenEval's rules, or the world's true utility."
    )
    reward: Name | None = Field(None, description="kind reward: its name under `rewards`.")
    detector: Literal["world"] | None = Field(None, description="kind geneval: the object detector.")
    testsets: list[Name] = Field(min_length=1, description="Test sets it is measured on.")


class Statistics(Section):
    """How the tables measure uncertainty."""

    bootstrap: Positive = Field(2000, description="Bootstrap resamples over prompts.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals.")
    seed: int = Field(0, ge=0, description="Seed of the resampling.")
