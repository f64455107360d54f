"""What the settings that artefacts were made with show: whether a policy is tested as it was trained."""

from collections.abc import Iterator, Mapping
from typing import Any

from pnapo.watch.finding import Finding


def guidance_mismatch(checkpoint: Mapping[str, Any], images: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings of a checkpoint and of images it made. FLUX embeds guidance, and has learned that of its pairs alone; SD3 learns
    without, so pairs whose noise it follows (path stored) must have been made without."""
    trained, tested, step = checkpoint["guidance"], images["guidance"], checkpoint["stop"]
    if checkpoint["family"] == "flux" and tested != trained:
        text = (
            f"trained with guidance {trained:g}, its images made with {tested:g}: it has learned little of the latter"
        )
    elif checkpoint["family"] != "flux" and checkpoint["run"]["path"] == "stored" and trained > 1:
        text = (
            f"follows the noise of pairs made with guidance {trained:g}, but is trained without: these paths are bent"
        )
    else:
        return
    text += "; make guidance of pairs and test sets alike"
    yield Finding("guidance_mismatch", step, 0, {"trained": trained, "tested": tested}, text)


def resolution_mismatch(checkpoint: Mapping[str, Any], images: Mapping[str, Any], base: int) -> Iterator[Finding]:
    """Images of a checkpoint beside those of its base model, of resolution `base` in pixels."""
    if images["resolution"] != base:
        text = (
            f"images of {images['resolution']} pixels are compared with the base model's of {base}; make them again at one "
            "resolution"
        )
        yield Finding(
            "resolution_mismatch", checkpoint["stop"], 0, {"tested": images["resolution"], "base": base}, text
        )
