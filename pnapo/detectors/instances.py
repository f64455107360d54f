"""From the logits of a mask transformer to instances, by the recipe of mmdet (`MaskFormerFusionHead.instance_postprocess`).

Of all queries × classes the 100 of largest softmax probability; each scores its probability × the mean probability of the
pixels of its query's mask; the mask is where the logit is above 0, the box is the mask's. Detectron2's Mask2Former does the
same (`instance_inference`). Nothing is merged: transformers' `post_process_instance_segmentation`, which gives each pixel to
one object and works at 384 × 384, is another recipe.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

MOST = 100  # instances of an image
EPSILON = 1e-6


class Instance(NamedTuple):
    """Number of the class, score, box (x0, y0, x1, y1) with the last pixel within, and mask, bool [H, W] on the CPU."""

    label: int
    score: float
    box: tuple[float, float, float, float]
    mask: torch.Tensor


def resized(masks: torch.Tensor, seen: tuple[int, int], shown: tuple[int, int]) -> torch.Tensor:
    """Mask logits [N, h, w] at the size the network saw, and from there at that of the image: [N, H, W], as mmdet does it."""
    for size in (seen, shown):
        masks = interpolate(masks[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return masks


def instances(
    classes: torch.Tensor, masks: torch.Tensor, seen: tuple[int, int], shown: tuple[int, int], floor: float = 0.0
) -> list[Instance]:
    """Instances of one image that score above `floor`, best first.

    `classes` [Q, C + 1] are logits, the last for no object; `masks` [Q, h, w] are logits; `seen` and `shown` are height and
    width of what the network saw and of the image. The floor only saves work: no score is above its class probability, so
    masks of improbable classes are not enlarged.
    """
    count = classes.shape[1] - 1
    probabilities = classes.softmax(-1)[:, :-1].flatten()
    best, index = probabilities.topk(min(MOST, len(probabilities)))
    best, index = best[best > floor], index[best > floor]
    if not len(index):
        return []
    queries, where = (index // count).unique(return_inverse=True)
    logits = resized(masks[queries], seen, shown)
    inside = logits > 0
    area = inside.flatten(1).sum(1)
    certain = (logits.sigmoid() * inside).flatten(1).sum(1) / (area + EPSILON)
    scores = best * certain[where]
    found = []
    for number in scores.argsort(descending=True, stable=True).tolist():
        if scores[number] > floor:
            mask = inside[where[number]].cpu()
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            box = (columns[0].item(), rows[0].item(), columns[-1].item() + 1, rows[-1].item() + 1)
            found.append(Instance(index[number].item() % count, scores[number].item(), tuple(map(float, box)), mask))
    return found
