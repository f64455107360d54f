"""Render scenes as 32×32 RGB pictures: antialiased shapes on slots, with one pixel of jitter."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from pnapo.world.scenes import BACKGROUNDS, COLORS, SHAPES, Scene

SIZE = 32
SPRITE = 13  # side of a shape in pixels
_SCALE = 8  # supersampling of the sprites

# Centres (x, y) of the slots, by layout.
CENTRE = ((16, 16),)
ROW = ((8, 16), (24, 16))
COLUMN = ((16, 8), (16, 24))
GRID = ((8, 8), (24, 8), (8, 24), (24, 24))


@dataclass(frozen=True)
class Placed:
    """An object as drawn: its shape, colour and centre in pixels."""

    shape: str
    color: str
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """A scene with everything decided that its caption left open."""

    background: str
    objects: tuple[Placed, ...]


@cache
def sprite(shape: str) -> np.ndarray:
    """The shape's coverage, float32 [13, 13] in 0..1."""
    n = SPRITE * _SCALE
    mask = Image.new("L", (n, n))
    draw = ImageDraw.Draw(mask)
    last = n - 1
    if shape == "circle":
        draw.ellipse((0, 0, last, last), fill=255)
    elif shape == "square":
        edge = _SCALE
        draw.rectangle((edge, edge, last - edge, last - edge), fill=255)
    elif shape == "triangle":
        draw.polygon([(n / 2, 0), (last, last - _SCALE / 2), (0, last - _SCALE / 2)], fill=255)
    elif shape == "star":
        angles = -np.pi / 2 + np.arange(10) * np.pi / 5
        radii = np.where(np.arange(10) % 2 == 0, 0.54, 0.235) * n
        centre = n * 0.52
        draw.polygon([(n / 2 + r * np.cos(a), centre + r * np.sin(a)) for r, a in zip(radii, angles)], fill=255)
    elif shape == "cross":
        a, b = 4 * _SCALE, 9 * _SCALE - 1  # whole pixels, so that no edge is half covered
        draw.rectangle((a, 0, b, last), fill=255)
        draw.rectangle((0, a, last, b), fill=255)
    elif shape == "ring":
        draw.ellipse((0, 0, last, last), fill=255)
        hole = n * 0.26
        draw.ellipse((hole, hole, last - hole, last - hole), fill=0)
    else:
        raise ValueError(f"unknown shape {shape!r}: choose one of {', '.join(SHAPES)}")
    return np.asarray(mask.resize((SPRITE, SPRITE), Image.Resampling.BOX), np.float32) / 255


def arrange(scene: Scene, rng: np.random.Generator) -> Picture:
    """Decide placement, open colours and background. Layouts: one centred, two in a row or column, more on a grid."""
    count = len(scene.things)
    if count == 1:
        slots = CENTRE
    elif count == 2:
        if scene.relation is None:
            slots = ROW if rng.random() < 0.5 else COLUMN
            order = rng.permutation(2)
        else:
            slots = ROW if scene.relation in ("left of", "right of") else COLUMN
            order = (0, 1) if scene.relation in ("left of", "above") else (1, 0)
        slots = [slots[i] for i in order]
    else:
        slots = [GRID[i] for i in rng.permutation(4)[:count]]
    names = list(COLORS)
    placed = []
    shared = names[rng.integers(len(names))] if scene.family == "counting" else None
    for thing, (x, y) in zip(scene.things, slots):
        color = thing.color or shared or names[rng.integers(len(names))]
        dx, dy = rng.integers(-1, 2, 2)
        placed.append(Placed(thing.shape, color, int(x + dx), int(y + dy)))
    background = scene.background or list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    return Picture(background, tuple(placed))


def paste(canvas: np.ndarray, shape: str, color: str, x: int, y: int) -> None:
    """Draw one object, centred at (x, y), onto a float32 [32, 32, 3] canvas in place; what lies outside is cut off."""
    top, left = y - SPRITE // 2, x - SPRITE // 2
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + SPRITE, SIZE), min(left + SPRITE, SIZE)
    alpha = sprite(shape)[y0 - top : y1 - top, x0 - left : x1 - left, None]
    region = canvas[y0:y1, x0:x1]
    region += alpha * (np.asarray(COLORS[color], np.float32) - region)


def draw(picture: Picture) -> np.ndarray:
    """The picture as uint8 [32, 32, 3]."""
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[:] = BACKGROUNDS[picture.background]
    for item in picture.objects:
        paste(canvas, item.shape, item.color, item.x, item.y)
    return np.rint(canvas).astype(np.uint8)


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A picture of the scene, uint8 [32, 32, 3]."""
    return draw(arrange(scene, rng))
