"""Renderer, detector and utility agree on what is in a picture."""

import numpy as np
import pytest

from pnapo.world import utility
from pnapo.world.detector import WorldDetector
from pnapo.world.render import Picture, Placed, arrange, draw
from pnapo.world.scenes import COLORS, SHAPES, Scene, Thing, all_scenes

RED_LEFT = Picture("gray", (Placed("ring", "red", 8, 16), Placed("star", "blue", 24, 16)))
SCENE = Scene("color_attr", (Thing("ring", "red"), Thing("star", "blue")), background="gray")


def found(image, threshold=0.3):
    return sorted((d.label, d.color) for d in WorldDetector().detect(image) if d.score > threshold)


def test_the_detector_reads_what_was_drawn():
    rng = np.random.default_rng(0)
    scenes = [all_scenes()[i] for i in rng.integers(len(all_scenes()), size=400)]
    right = 0
    for scene in scenes:
        picture = arrange(scene, rng)
        noisy = np.clip(draw(picture) + rng.normal(0, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
        right += found(noisy) == sorted((o.shape, o.color) for o in picture.objects)
    assert right >= 396


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_and_colour_is_told_apart(shape):
    for color in COLORS:
        image = draw(Picture("black", (Placed(shape, color, 16, 16),)))
        (only,) = WorldDetector().detect(image)
        assert (only.label, only.color) == (shape, color)
        assert only.score > 0.8
        assert abs((only.box[0] + only.box[2]) / 2 - 16) <= 1.5


def test_an_empty_picture_has_no_objects_and_floats_are_refused():
    assert WorldDetector().detect(np.full((32, 32, 3), 118, np.uint8)) == []
    with pytest.raises(ValueError, match="uint8"):
        WorldDetector().detect(np.zeros((32, 32, 3)))


def test_utility_falls_with_every_mistake():
    def score(*objects, background="gray", scene=SCENE):
        return utility.score(draw(Picture(background, objects)), scene)

    ring, star = RED_LEFT.objects
    perfect = score(ring, star)
    assert perfect > 0.95
    wrong_color = score(Placed("ring", "green", 8, 16), star)
    missing = score(ring)
    extra = score(ring, star, Placed("cross", "white", 24, 25))
    wrong_ground = score(ring, star, background="black")
    swapped = score(Placed("ring", "blue", 8, 16), Placed("star", "red", 24, 16))
    for worse in (wrong_color, missing, extra, wrong_ground, swapped):
        assert worse < perfect - 0.1
    assert swapped < wrong_color


def test_utility_knows_left_from_right():
    picture = draw(RED_LEFT)
    things = (Thing("ring"), Thing("star"))
    assert utility.score(picture, Scene("position", things, "left of")) > 0.95
    assert utility.score(picture, Scene("position", things, "right of")) < 0.75


def test_noise_lowers_quality():
    rng = np.random.default_rng(0)
    clean = draw(RED_LEFT)
    noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    assert utility.score(noisy, SCENE) < utility.score(clean, SCENE) - 0.05
