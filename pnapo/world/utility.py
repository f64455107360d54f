"""The world's true utility: what people in this world like, exactly known.

utility = 0.6·alignment + 0.4·quality, both in 0..1. Alignment is graded credit for the objects, colours, count,
relation and background that the caption asks for; quality is how few of its pixels look wrong beside a clean drawing of
what it shows. The learned rewards see only votes drawn from it.
"""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from pnapo.detectors import Detection
from pnapo.world.detector import WorldDetector
from pnapo.world.render import SIZE, paste
from pnapo.world.scenes import BACKGROUNDS, Scene, Thing

ALIGNMENT_WEIGHT = 0.6
THRESHOLD = 0.3  # detections below this score do not count
UNSEEN, GLARING = 32.0, 96.0  # RGB distances up to which a pixel looks right, and from which it looks all wrong
UNNOTICED = 8.0  # wrong pixels, of 1024, that nobody notices
TOLERANCE = 25.0  # more wrong pixels than those at which quality has fallen to 1/e: a quarter of an object


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


def redraw(image: np.ndarray, detections: list[Detection]) -> np.ndarray:
    """A clean drawing, float32 [32, 32, 3], of what a picture shows: each object where it fits the picture best."""
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[:] = BACKGROUNDS[background_of(image)]
    for detection in detections:
        x0, y0, x1, y1 = detection.box
        middle = round((x0 + x1 - 1) / 2), round((y0 + y1 - 1) / 2)
        tries = [canvas.copy() for _ in range(9)]
        for drawn, (dx, dy) in zip(tries, product((0, -1, 1), repeat=2)):
            paste(drawn, detection.label, detection.color, middle[0] + dx, middle[1] + dy)
        canvas = min(tries, key=lambda drawn: float(np.abs(image - drawn).sum()))
    return canvas


def quality(image: np.ndarray, detections: list[Detection]) -> float:
    """How cleanly the picture is drawn, 0..1: exp(−(wrong pixels − 8)/25), against a clean drawing of the same objects.

    A pixel counts in part from an RGB distance of 32 on and in full from 96 on. What nobody sees does not matter: a
    picture with fewer than eight wrong pixels is flawless, 1.
    """
    distance = np.sqrt(((image - redraw(image, detections)) ** 2).sum(-1))
    wrong = np.clip((distance - UNSEEN) / (GLARING - UNSEEN), 0, 1).sum()
    return float(np.exp(-max(0.0, wrong - UNNOTICED) / TOLERANCE))


@dataclass(frozen=True)
class Seen:
    """What a picture shows, whatever was asked for: all that its utility for any caption hangs on."""

    detections: list[Detection]
    background: str
    quality: float


_DETECTOR = WorldDetector()


def look(image: np.ndarray) -> Seen:
    """What a uint8 [32, 32, 3] picture shows."""
    detections = [d for d in _DETECTOR.detect(image) if d.score > THRESHOLD]
    return Seen(detections, background_of(image), quality(image, detections))


def utility(seen: Seen, scene: Scene) -> float:
    """The true utility, 0..1, of a picture for a scene."""
    aligned = alignment(scene, seen.detections, seen.background)
    return ALIGNMENT_WEIGHT * aligned + (1 - ALIGNMENT_WEIGHT) * seen.quality


def score(image: np.ndarray, scene: Scene) -> float:
    """The true utility, 0..1, of a uint8 [32, 32, 3] picture for a scene."""
    return utility(look(image), scene)
