"""From raw prompts to the training prompts: source, filters, clusters, selection."""

from typing import Literal

from pydantic import Field

from pnapo.config.schema.base import Positive, Probability, Section


class Source(Section):
    """Where the raw prompts come from."""

    path: str | None = Field(
        None,
        description="A prompt list: .parquet (or a folder of these, or a pattern such as data/train-*.parquet), .csv, .tsv, "
        ".json, .jsonl or .txt. Empty: the embedded world writes one.",
    )
    column: str = Field("prompt", description="The column (or JSON key) that holds the prompts.")
    rows: Positive = Field(1800, description="Number of prompts the embedded world writes (ignored with a path).")
    seed: int = Field(0, ge=0, description="Seed of the embedded world's prompts.")


class Safety(Section):
    """Removal of unsafe prompts, by Detoxify or by scores that the prompt list comes with."""

    kind: Literal["detoxify", "column"] = Field(
        "detoxify",
        description="Who scores the prompts: Detoxify, or a column of the list (DiffusionDB's `prompt_nsfw`).",
    )
    column: str | None = Field(
        None,
        description="kind column: its name; the larger, the less safe. Of a prompt in several rows the largest counts.",
    )
    checkpoint: str | None = Field(None, description="kind detoxify: a checkpoint in Detoxify's format.")
    config_path: str | None = Field(None, description="Folder with the checkpoint's transformer config and tokenizer.")
    labels: list[str] = Field(["toxicity", "sexual_explicit"], min_length=1, description="Detoxify outputs that count.")
    threshold: Probability = Field(
        0.5, description="A prompt is removed when its score (the largest of these) reaches it."
    )
    keep: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Instead of `threshold`: the share of prompts that stays, those of the lowest scores. Prompts tied "
        "with a removed one are removed as well.",
    )
    batch: Positive = Field(256, description="Prompts scored at once.")


class NearDuplicates(Section):
    """Removal of near-duplicates by Jaccard similarity of word n-grams, found and measured exactly."""

    threshold: float = Field(0.8, gt=0, le=1, description="Smallest Jaccard similarity of a duplicate.")
    ngram: Positive = Field(2, description="Words per shingle.")


class Semantic(Section):
    """Removal of semantic duplicates by cosine similarity of CLIP text embeddings."""

    clip: str = Field(description="An open_clip model: a name with its weights' tag or file, or local-dir:FOLDER.")
    pretrained: str | None = Field(None, description="open_clip's weights tag or file (empty for local-dir).")
    threshold: Probability = Field(0.95, description="Smallest cosine of a duplicate.")
    batch: Positive = Field(256, description="Prompts embedded at once.")


class Clusters(Section):
    """k-means clusters of the CLIP text embeddings."""

    count: Positive = Field(100, description="Number of clusters.")
    iterations: Positive = Field(25, description="k-means iterations.")
    seed: int = Field(0, ge=0, description="Seed of the initial centroids.")


class Selection(Section):
    """Proportional resampling from the clusters."""

    count: Positive = Field(20000, description="Number of prompts to keep.")
    seed: int = Field(0, ge=0, description="Seed of the draw within each cluster.")


class Prompts(Section):
    """From raw prompts to the training prompts (paper section 4.1)."""

    source: Source = Source()
    safety: Safety
    near_duplicates: NearDuplicates = NearDuplicates()
    semantic: Semantic
    clusters: Clusters = Clusters()
    selection: Selection = Selection()
