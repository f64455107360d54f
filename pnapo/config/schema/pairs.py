"""What runs train on: pairs that the model makes or that come from elsewhere, and the noises that paths find for them."""

from pydantic import Field

from pnapo.config.schema.base import Positive, Section


class Pairs(Section):
    """Noise-image pairs made by the model that will be tuned."""

    samples: int = Field(2, ge=2, description="Images, each with its own prior noise, per prompt.")
    steps: Positive = Field(50, description="Euler steps.")
    guidance: float = Field(1.0, ge=1, description="Guidance scale; 1 is off.")
    seed: int = Field(0, ge=0, description="Seed of the prior noise stream.")
    shards: Positive = Field(2, description="Number of files, each made by one job.")
    batch: Positive = Field(16, description="Images generated at once.")


class Dataset(Section):
    """Pairs of images from elsewhere, with a preference (Pick-a-Pic, Open Image Preferences, HPD, one's own).

    A run trains on them with `data: NAME`. They have no stored noise, so its path is independent, independent_each or
    inverted. Images are scaled and cut to the model's square, and encoded (the mode of the VAE's posterior). `pairs.shards`
    and `pairs.batch` hold for them too.
    """

    path: str = Field(
        description="A parquet file, a folder of them, or a pattern such as data/train-*.parquet, a pair in each row."
    )
    prompt: str = Field("prompt", description="The column of the prompts.")
    images: list[str] = Field(
        ["chosen", "rejected"],
        min_length=2,
        max_length=2,
        description="The two columns of images: PNG, JPEG, … as bytes, or as the datasets library writes them.",
    )
    scores: list[str] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Two columns with a number for each image: the larger is preferred, the difference is the reward gap, and "
        "pairs with equal ones are left out. Not given: the first image is preferred, with gap 1.",
    )
    count: Positive = Field(description="Pairs used, the first that have a prompt and a preference.")
    guidance: float = Field(1.0, ge=1, description="The guidance that training gives a model which embeds it (FLUX).")


class Inversion(Section):
    """How runs on the path `inverted` find the noise of an image."""

    steps: Positive = Field(20, description="Euler steps of the inversion, on the model's sampling grid.")
    renoise: bool = Field(False, description="Whether each step averages the velocities at its two ends (ReNoise).")
    batch: Positive = Field(16, description="Latents inverted at once.")


class Truncation(Section):
    """How runs on the path `truncated` roll noises out, each prompt's up to a time of its own."""

    steps: Positive = Field(20, description="Euler steps of a whole rollout, on the model's sampling grid.")
    batch: Positive = Field(16, description="Noises rolled out at once.")
