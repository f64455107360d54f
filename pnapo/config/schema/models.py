"""Backbones, and where models and data sets are fetched from."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Positive, Section


class Sampling(Section):
    """Settings of `pairs` that differ for one model."""

    steps: Positive | None = None
    guidance: float | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0)


class Model(Section):
    """A backbone: a rectified-flow text-to-image model in a diffusers pipeline folder.

    A folder may stand under several names, each with a pair set of its own.
    """

    family: Literal["sd3", "flux"] = Field(description="Architecture of the pipeline folder.")
    path: str = Field(description="The diffusers pipeline folder.")
    resolution: Positive = Field(description="Width and height of generated images, in pixels.")
    max_sequence_length: Positive = Field(256, description="Length of the T5 prompt embedding, in tokens.")
    dtype: Literal["fp32", "bf16"] = Field(
        "fp32", description="Precision of transformer and text encoders; the VAE is always fp32."
    )
    pairs: Sampling = Sampling()


class Download(Section):
    """What `snakemake fetch` brings into the cache: a repository of the model hub, files of one, or a file from the web."""

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
