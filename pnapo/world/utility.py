"""The world's true utility: what people in this world like, exactly known.

utility = 0.6·alignment + 0.4·quality, both in 0..1. Alignment is graded credit for the objects, colours, count,
relation and background that the caption asks for; quality is how cleanly the picture is drawn. The learned rewards see
only votes drawn from it.
"""

from itertools import permutations

import numpy as np

from pnapo.detectors import Detection
from pnapo.world.detector import WorldDetector
from pnapo.world.scenes import BACKGROUNDS, COLORS, Scene, Thing

ALIGNMENT_WEIGHT = 0.6
FLAT_WEIGHT = 0.75  # of quality: flat palette colours; the rest is exact shapes
THRESHOLD = 0.3  # detections below this score do not count
_PALETTE = np.array([*COLORS.values(), *BACKGROUNDS.values()], np.float32)
_SOFTNESS = 6.0  # RGB distance at which a pixel's cleanliness has fallen to 1/e


def _credit(thing: Thing, detection: Detection) -> float:
    """How far a detected object is what was asked for: 1 all, ½ shape but not colour, ¼ colour but not shape."""
    shape, color = thing.shape == detection.label, thing.color in (None, detection.color)
    if shape:
        return 1.0 if color else 0.5
    return 0.25 if thing.color and color else 0.0


def _relation_holds(relation: str, first: Detection, second: Detection) -> bool:
    (x0, y0, x1, y1), (u0, v0, u1, v1) = first.box, second.box
    dx, dy = (x0 + x1 - u0 - u1) / 2, (y0 + y1 - v0 - v1) / 2
    return {"left of": dx < -4, "right of": dx > 4, "above": dy < -4, "below": dy > 4}[relation]


def alignment(scene: Scene, detections: list[Detection], background: str) -> float:
    """Credit in 0..1: the best assignment of detections to the required things, less extra objects."""
    best = 0.0
    pool: list[Detection | None] = [*detections[:5], *[None] * len(scene.things)]
    for chosen in set(permutations(range(len(pool)), len(scene.things))):
        found = [pool[i] for i in chosen]
        credit = sum(_credit(t, d) for t, d in zip(scene.things, found) if d is not None) / len(scene.things)
        if scene.relation and credit > 0:
            both = None not in found
            credit *= 1.0 if both and _relation_holds(scene.relation, found[0], found[1]) else 0.5
        best = max(best, credit)
    extra = max(0, len(detections) - len(scene.things))
    best *= 1 / (1 + 0.5 * extra)
    if scene.background:
        best *= 1.0 if background == scene.background else 0.7
    return best


def background_of(image: np.ndarray) -> str:
    """The background colour nearest to most of the picture's pixels."""
    colors = np.array(list(BACKGROUNDS.values()), np.float32)
    distance = ((image.reshape(-1, 1, 3).astype(np.float32) - colors) ** 2).sum(-1)
    near = distance.min(1) < 3 * 40.0**2
    votes = np.bincount(distance.argmin(1)[near], minlength=len(colors))
    return list(BACKGROUNDS)[int(votes.argmax())]


def quality(image: np.ndarray, detections: list[Detection]) -> float:
    """How cleanly the picture is drawn, 0..1: three quarters flat palette colours, a quarter exact shapes."""
    pixels = image.reshape(-1, 1, 3).astype(np.float32)
    distance = np.sqrt(((pixels - _PALETTE) ** 2).sum(-1).min(1))
    flat = float(np.exp(-distance / _SOFTNESS).mean())
    shapes = float(np.mean([d.score for d in detections])) if detections else 0.0
    return FLAT_WEIGHT * flat + (1 - FLAT_WEIGHT) * shapes


_DETECTOR = WorldDetector()


def score(image: np.ndarray, scene: Scene) -> float:
    """The true utility, 0..1, of a uint8 [32, 32, 3] picture for a scene."""
    detections = [d for d in _DETECTOR.detect(image) if d.score > THRESHOLD]
    aligned = alignment(scene, detections, background_of(image))
    return ALIGNMENT_WEIGHT * aligned + (1 - ALIGNMENT_WEIGHT) * quality(image, detections)
