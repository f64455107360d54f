"""Object detectors behind one interface, as GenEval's decision rules need them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Detection:
    """One detected object: class name, score in 0..1, box (x0, y0, x1, y1) in pixels, bool mask [H, W].

    `color` is set where the detector itself knows it; otherwise `Detector.color_of` works it out.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    mask: np.ndarray
    color: str | None = None


class Detector(Protocol):
    """What GenEval needs of a detector."""

    name: str
    classes: tuple[str, ...]

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Objects in a uint8 [H, W, 3] image, best score first."""

    def color_of(self, image: np.ndarray, detection: Detection) -> str:
        """The colour name of a detected object."""
