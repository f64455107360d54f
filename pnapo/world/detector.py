"""The exact detector: colour segmentation, connected components, shape by template overlap.

It implements the detector interface of GenEval (`pnapo.detectors`): boxes with class names and scores, and a colour
for each. Scores are template overlaps stretched so that a cleanly drawn shape scores above .9.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from scipy import ndimage

from pnapo.detectors import Detection, Seen
from pnapo.world.render import SPRITE, sprite
from pnapo.world.scenes import BACKGROUNDS, COLORS, SHAPES

MIN_AREA = 20  # pixels; the smallest shape, the star, covers about 60
_NORMAL = 15  # side of the normalised masks that are compared
_PALETTE = np.array([*COLORS.values(), *BACKGROUNDS.values()], np.float32)
_NAMES = (*COLORS, *(None for _ in BACKGROUNDS))


def _normalise(mask: np.ndarray) -> np.ndarray:
    """Resample a mask's bounding box to a square, so that size and place do not matter."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    zoom = (_NORMAL / box.shape[0], _NORMAL / box.shape[1])
    return ndimage.zoom(box, zoom, order=1, mode="nearest", grid_mode=True)


@cache
def _templates() -> np.ndarray:
    return np.stack([_normalise(sprite(shape) > 0.5) for shape in SHAPES])


def _classify(mask: np.ndarray) -> tuple[str, float]:
    """The best matching shape and its overlap (soft IoU, 0..1)."""
    normal = _normalise(mask)
    overlap = np.minimum(normal, _templates()).sum((1, 2)) / np.maximum(normal, _templates()).sum((1, 2))
    best = int(overlap.argmax())
    return SHAPES[best], float(overlap[best])


class WorldDetector:
    """Detects shapes in the world's pictures; stateless and deterministic."""

    name = "world"
    classes = SHAPES
    colors = tuple(COLORS)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Objects in a uint8 [32, 32, 3] picture, best score first.

        Raises ValueError if the image has another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"the world's detector reads uint8 [H, W, 3] pictures, not {image.dtype} {image.shape}")
        distance = ((image[:, :, None].astype(np.float32) - _PALETTE) ** 2).sum(-1)
        nearest = distance.argmin(-1)
        found = []
        for index in range(len(COLORS)):
            labels, count = ndimage.label(nearest == index, structure=np.ones((3, 3)))
            for part, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
                mask = labels == part
                if count == 0 or mask.sum() < MIN_AREA:
                    continue
                size = max(rows.stop - rows.start, columns.stop - columns.start)
                shape, overlap = _classify(mask[rows, columns])
                score = np.clip((overlap - 0.35) / 0.45, 0, 1) * min(1.0, SPRITE * 1.6 / size)
                box = (columns.start, rows.start, columns.stop, rows.stop)
                found.append(Detection(shape, float(score), tuple(map(float, box)), mask, _NAMES[index]))
        return sorted(found, key=lambda d: -d.score)

    def prepare(self, image: np.ndarray) -> Seen:
        """The image as it is, and nothing beside it: there is no network."""
        return image, None

    def look(self, prepared: Iterable[Seen]) -> Iterator[tuple[np.ndarray, list[Detection]]]:
        """Each image and the objects in it."""
        for image, _ in prepared:
            yield image, self.detect(image)

    def color_of(self, image: np.ndarray, detection: Detection) -> str:
        """The detection's colour name (known exactly here; CLIP judges it at paper scale)."""
        return detection.color
