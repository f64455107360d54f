"""transformers' Mask2Former behind GenEval's interface, with the colours of a CLIP: the detector of GenEval-HF.

GenEval's own detector is mmdet's Mask2Former Swin-S; this one loads what its authors trained
(`facebook/mask2former-swin-small-coco-instance`): other weights, so other scores. What follows the weights is the same recipe
(`pnapo.detectors.instances`). Images are scaled as mmdet's and detectron2's tests do it, the shortest side to 800 and the
longest to 1333 at most, and not to the 384 × 384 that the folder's preprocessor_config.json says. docs/geneval.md has more.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

import numpy as np
import torch

from pnapo.artifacts.pretrained import from_folder
from pnapo.config.schema import Mask2Former as Settings
from pnapo.detectors import Detection, Seen
from pnapo.detectors.colors import ColorClassifier
from pnapo.detectors.instances import instances
from pnapo.errors import UserError

LONGEST = 1333 / 800  # of the shortest side
# What GenEval calls objects that COCO, and with it the model's configuration, calls otherwise; and COCO's names of those
# that some lists of its classes spell as Pascal VOC does.
GENEVAL_NAMES = {
    "mouse": "computer mouse",
    "remote": "tv remote",
    "keyboard": "computer keyboard",
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}


class Mask2Former:
    """Detects COCO's classes, under GenEval's names, that score above `floor`.

    Raises UserError if a file of it is missing or does not fit, or if its network gives numbers that are not finite.
    """

    name = "mask2former"

    def __init__(self, settings: Settings, floor: float = 0.0, device: str = "cpu"):
        from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

        self.network = from_folder(Mask2FormerForUniversalSegmentation, settings.model, dtype=torch.float32)
        self.network.eval().requires_grad_(False).to(device)
        self.processor = from_folder(Mask2FormerImageProcessor, settings.model)
        names = self.network.config.id2label
        self.classes = tuple(GENEVAL_NAMES.get(names[number], names[number]) for number in range(len(names)))
        self.colors = ColorClassifier(settings.clip, settings.weights, device)
        self.size = {"shortest_edge": settings.side, "longest_edge": int(settings.side * LONGEST)}
        self.settings, self.floor, self.device = settings, floor, device

    def prepare(self, image: np.ndarray) -> Seen:
        """A uint8 image [H, W, 3], and its pixels as the network wants them, float32 [3, h, w]."""
        kind = {"return_tensors": "pt", "input_data_format": "channels_last"}
        return image, self.processor(image, size=self.size, do_resize=True, pad_size=None, **kind)["pixel_values"][0]

    def look(self, prepared: Iterable[Seen]) -> Iterator[tuple[np.ndarray, list[Detection]]]:
        """Each image and the objects in it, best first. Images of one size that follow each other share batches.

        Every batch is filled up to the same size, so that what is found does not depend on neighbours.
        """
        for _, alike in groupby(prepared, key=lambda seen: seen[1].shape):
            while chunk := list(islice(alike, self.settings.batch)):
                pixels = torch.stack([pixels for _, pixels in chunk])
                empty = pixels.new_zeros(self.settings.batch - len(chunk), *pixels.shape[1:])
                classes, masks = self._logits(torch.cat([pixels, empty]))
                for (image, _), ours, outlines in zip(chunk, classes, masks):
                    yield image, self._detections(image, ours, outlines, pixels.shape[2:])

    def color_of(self, image: np.ndarray, detection: Detection) -> str:
        """The colour of a detected object, by the CLIP."""
        return self.colors.color_of(image, detection)

    @torch.no_grad()
    def _logits(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of classes [B, Q, C + 1] and masks [B, Q, h/4, w/4]."""
        output = self.network(pixel_values=pixels.to(self.device))
        if not output.class_queries_logits.isfinite().all():
            raise UserError(f"{self.settings.model}: gives numbers that are not finite; its weights are damaged")
        return output.class_queries_logits, output.masks_queries_logits

    def _detections(
        self, image: np.ndarray, classes: torch.Tensor, masks: torch.Tensor, seen: tuple[int, int]
    ) -> list[Detection]:
        found = instances(classes, masks, tuple(seen), image.shape[:2], self.floor)
        return [Detection(self.classes[i.label], i.score, i.box, i.mask.numpy()) for i in found]
