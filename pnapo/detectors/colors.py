"""The colour of a detected object, by a CLIP, as GenEval does it (djghosh13/geneval, evaluation/evaluate_images.py).

The image is painted #999 outside the object's mask and cropped to its box; the crop's embedding is compared with one
embedding a colour, the mean of three templates' unit embeddings, made a unit again (clip_benchmark's zero-shot classifier).
"""

import numpy as np
import torch

from pnapo.detectors import Detection
from pnapo.rewards.openclip import OpenCLIP

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEMPLATES = ("a photo of a {color} {label}", "a photo of a {color}-colored {label}", "a photo of a {color} object")
BACKGROUND = 0x99


def cutout(image: np.ndarray, detection: Detection) -> np.ndarray:
    """The object alone: a uint8 image [H, W, 3], grey outside its mask, cropped to its box."""
    x0, y0, x1, y1 = (round(edge) for edge in detection.box)
    inside = detection.mask[y0:y1, x0:x1, None]
    return np.where(inside, image[y0:y1, x0:x1], np.uint8(BACKGROUND))


class ColorClassifier:
    """Names one of COLORS. Every crop is a batch of its own, so that none hangs on others."""

    def __init__(self, model: str, weights: str | None, device: str):
        self.clip = OpenCLIP(model, weights=weights, device=device)
        self._known: dict[str, torch.Tensor] = {}

    def directions(self, label: str) -> torch.Tensor:
        """Unit embeddings [10, D] of the colours of objects called `label`."""
        if label not in self._known:
            texts = [template.format(color=color, label=label) for color in COLORS for template in TEMPLATES]
            means = self.clip.texts(texts).unflatten(0, (len(COLORS), len(TEMPLATES))).mean(1)
            self._known[label] = torch.nn.functional.normalize(means, dim=-1)
        return self._known[label]

    def color_of(self, image: np.ndarray, detection: Detection) -> str:
        """The colour's name of an object in a uint8 image [H, W, 3]."""
        features = self.clip.pixels(self.clip.prepare(cutout(image, detection))[None])[0]
        return COLORS[int((self.directions(detection.label) @ features).argmax())]
