"""What every run is measured by: test prompts, metrics, and how sure the tables are."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Name, Positive, Probability, Section


class TestSet(Section):
    """A list of test prompts and how images are made for it."""

    source: Literal["validation", "heldout", "freeform", "geneval"] | None = Field(
        None, description="A list written by the embedded world; leave empty when `path` is given."
    )
    path: str | list[str] | None = Field(
        None,
        description="A prompt list as in `prompts.source`, several of them in order, or GenEval's metadata .jsonl.",
    )
    column: str = Field("prompt", description="The column (or JSON key) that holds the prompts.")
    category: str | None = Field(
        None, description="The column of the prompts' categories. Not given, of several files: the file's name."
    )
    count: Positive | None = Field(None, description="Use only the first so many prompts.")
    images: Positive = Field(1, description="Images per prompt.")
    steps: Positive = Field(50, description="Euler steps.")
    guidance: float = Field(1.0, ge=1, description="Guidance scale; 1 is off.")
    seed: int = Field(1, ge=0, description="Seed of the test noises, the same for every run.")
    batch: Positive = Field(16, description="Images made and decoded at once.")


class Mask2Former(Section):
    """The detector of GenEval-HF: transformers' Mask2Former, and a CLIP that names colours."""

    model: str = Field(description="A transformers Mask2FormerForUniversalSegmentation folder of COCO's classes.")
    clip: str = Field(
        description="The open_clip model that names the colours of objects; GenEval's is ViT-L/14 (OpenAI)."
    )
    weights: str | None = Field(None, description="Its weights: open_clip's tag or file (none for local-dir).")
    side: Positive = Field(800, description="Pixels of an image's shortest side as the detector sees it.")
    batch: Positive = Field(8, description="Images looked at at once.")


class Rules(Section):
    """GenEval's thresholds. The defaults are the official ones."""

    threshold: Probability = Field(0.3, description="Objects count if they score more.")
    counting_threshold: Probability = Field(0.9, description="The same for the task of counting.")
    max_objects: Positive = Field(16, description="So many objects of a class are kept, the best.")
    max_overlap: Probability = Field(
        1.0, description="Objects that overlap a better one of their class so much (IoU) do not count; 1: all do."
    )
    position_threshold: float = Field(
        0.1,
        ge=0,
        description="So much of their summed sizes is taken from the distance of two objects, along each axis.",
    )


class Metric(Section):
    """A number measured on the images of every run."""

    kind: Literal["reward", "geneval", "utility"] = Field(
        description="A reward, GenEval's rules, or the world's true utility."
    )
    reward: Name | None = Field(None, description="kind reward: its name under `rewards`.")
    detector: Literal["world", "mask2former"] | None = Field(
        None,
        description="kind geneval: the object detector. With mask2former the metric's name begins with geneval_hf, so that "
        "no table takes its score for the official one.",
    )
    mask2former: Mask2Former | None = Field(None, description="kind geneval: the settings of detector mask2former.")
    rules: Rules = Field(Rules(), description="kind geneval: its thresholds.")
    testsets: list[Name] = Field(min_length=1, description="Test sets it is measured on.")


class Statistics(Section):
    """How the tables measure uncertainty."""

    bootstrap: Positive = Field(2000, description="Bootstrap resamples over prompts.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the intervals.")
    seed: int = Field(0, ge=0, description="Seed of the resampling.")
