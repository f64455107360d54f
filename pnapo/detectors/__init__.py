"""Object detectors behind one interface, as GenEval's decision rules need them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

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


Seen = tuple[np.ndarray, Any]  # an image, uint8 [H, W, 3], and what a detector's network is fed of it


class Detector(Protocol):
    """What GenEval needs of a detector. What it finds in an image does not depend on the images beside it."""

    name: str
    classes: tuple[str, ...]

    def prepare(self, image: np.ndarray) -> Seen:
        """A uint8 image [H, W, 3], ready to be looked at. Threads may call it side by side."""

    def look(self, prepared: Iterable[Seen]) -> Iterator[tuple[np.ndarray, list[Detection]]]:
        """Each image and the objects in it, best score first, in the order of the images."""

    def color_of(self, image: np.ndarray, detection: Detection) -> str:
        """The colour name of a detected object."""
