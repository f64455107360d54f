"""Scenes: what the world's pictures show. Every caption, picture, detection and utility refers to a `Scene`.

The six families are GenEval's tasks. A scene's placement is fixed only where its caption fixes it (the relation of the
position family); everything else is drawn afresh for each rendering.
"""

import hashlib
import itertools
from dataclasses import dataclass
from functools import cache

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLORS = {
    "red": (222, 42, 42),
    "yellow": (244, 218, 48),
    "green": (44, 172, 72),
    "blue": (48, 92, 232),
    "pink": (250, 140, 204),
    "white": (246, 246, 246),
}
BACKGROUNDS = {"black": (16, 16, 20), "gray": (118, 118, 118), "brown": (92, 58, 34)}
RELATIONS = ("left of", "right of", "above", "below")
COUNTS = {2: "two", 3: "three", 4: "four"}
FAMILIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

TEST_PERCENT = {"single_object": 100, "two_object": 25, "counting": 50, "colors": 50, "position": 20, "color_attr": 20}
VALIDATION_PERCENT = 10


@dataclass(frozen=True)
class Thing:
    """One required object. `color` is None where the caption leaves it open."""

    shape: str
    color: str | None = None


@dataclass(frozen=True)
class Scene:
    """What a caption asks for.

    `things` are in the order of the caption; counting scenes repeat one thing. `relation` is where the FIRST thing lies
    as seen from the second ("left of", …), or None. `background` is None where the caption leaves it open.
    """

    family: str
    things: tuple[Thing, ...]
    relation: str | None = None
    background: str | None = None

    @property
    def meaning(self) -> tuple:
        """What two captions must share to mean the same: "a left of b" is "b right of a", "a and b" is "b and a"."""
        if self.relation in ("right of", "below"):
            flipped = {"right of": "left of", "below": "above"}[self.relation]
            return self.family, self.things[::-1], flipped, self.background
        things = self.things if self.relation else tuple(sorted(self.things, key=str))
        return self.family, things, self.relation, self.background

    @property
    def key(self) -> str:
        """A text that identifies the objects asked for, whatever their order and background (used to split prompts)."""
        things = sorted(f"{t.color or ''}:{t.shape}" for t in self.things)
        return f"{self.family}|{'+'.join(things)}"


@cache
def all_scenes() -> tuple[Scene, ...]:
    """Every scene without a background: 6 + 30 + 18 + 36 + 120 + 900, in a fixed order."""
    scenes = [Scene("single_object", (Thing(s),)) for s in SHAPES]
    scenes += [Scene("two_object", (Thing(a), Thing(b))) for a, b in itertools.permutations(SHAPES, 2)]
    scenes += [Scene("counting", (Thing(s),) * n) for n in COUNTS for s in SHAPES]
    scenes += [Scene("colors", (Thing(s, c),)) for s in SHAPES for c in COLORS]
    scenes += [
        Scene("position", (Thing(a), Thing(b)), relation)
        for a, b in itertools.permutations(SHAPES, 2)
        for relation in RELATIONS
    ]
    scenes += [
        Scene("color_attr", (Thing(a, c), Thing(b, d)))
        for a, b in itertools.permutations(SHAPES, 2)
        for c, d in itertools.permutations(COLORS, 2)
    ]
    return tuple(scenes)


def split_of(scene: Scene) -> str:
    """ "train", "validation" or "test", by a hash of the objects: no two splits share an object set.

    Single objects are all in "test", since there are only six of them.
    """
    digest = hashlib.sha256(scene.key.encode()).digest()
    percent = int.from_bytes(digest[:4], "big") % 100
    test = TEST_PERCENT[scene.family]
    if percent < test:
        return "test"
    return "validation" if percent < test + VALIDATION_PERCENT else "train"


@cache
def scenes_of(split: str, family: str | None = None) -> tuple[Scene, ...]:
    """The scenes of one split (and one family), in the order of `all_scenes`."""
    return tuple(s for s in all_scenes() if split_of(s) == split and family in (None, s.family))
