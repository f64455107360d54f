"""Backbones, and where models and data sets are fetched from."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Positive, Section


class Sampling(Section):
    """Settings of `pairs` that differ for one model."""

    steps: Positive | None = None
    guidance: float | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0)


class Testing(Section):
    """Settings of every test set that differ for one model."""

    steps: Positive | None = None
    guidance: float | None = Field(None, ge=1)
    batch: Positive | None = None


class Model(Section):
    """A backbone: a rectified-flow text-to-image model in a diffusers pipeline folder.

    A folder may stand under several names, each with a pair set of its own.

    Guidance stands in pairs, training and test sets. FLUX embeds it, and is trained with that of its pairs: its test sets must
    have the same. SD3 is trained without guidance: where a run follows the noise of its pairs (path stored), these must be made
    without. What differs is refused, unless `mixed_guidance` says that it is meant.
    """

    family: Literal["sd3", "flux"] = Field(
        description="Architecture of the pipeline folder: sd3 (SD3-M, SD3.5-M, SD3.5-L) or flux (FLUX.1-dev)."
    )
    path: str = Field(description="The diffusers pipeline folder.")
    resolution: Positive = Field(
        description="Width and height of all images, in pixels: of pairs, in training and of test sets."
    )
    max_sequence_length: Positive = Field(256, description="Length of the T5 prompt embedding, in tokens.")
    dtype: Literal["fp32", "bf16"] = Field(
        "fp32", description="Precision of transformer and text encoders; the VAE is always fp32."
    )
    pairs: Sampling = Sampling()
    tests: Testing = Testing()
    mixed_guidance: bool = Field(
        False, description="Whether images may be made with another guidance than runs are trained for."
    )


class Download(Section):
    """What `snakemake --configfile FILE -- fetch` brings into the cache: a repository, files of one, or a file from the web."""

    repo: str | None = Field(None, description="The repository, owner/name.")
    url: str | None = Field(None, description="Instead of a repository: the address of one file.")
    path: str = Field(description="The folder that a repository is copied to; with `url`, the file.")
    kind: Literal["model", "dataset"] = Field("model", description="What kind of repository it is.")
    revision: str = Field(
        "main",
        description="A commit, tag or branch. The commit is recorded, and later fetches have to bring the same one.",
    )
    files: list[str] = Field([], description="Names or patterns of the repository's files to copy; none given: all.")
    sha256: str | dict[str, str] | None = Field(
        None,
        description="The SHA-256 that the file must have, or its first 8 digits or more; of a repository's files by name.",
    )
    size: float | None = Field(
        None, gt=0, description="About how large it is, in GB, for plans and for messages about what is missing."
    )
