"""The true utility against values worked out by hand, and the votes drawn from it."""

import numpy as np
import pytest

from pnapo.world import preference, utility
from pnapo.world.render import Picture, Placed, draw, render
from pnapo.world.samples import Samples
from pnapo.world.scenes import Scene, Thing
from pnapo.world.vae import random_scenes

CLEAN = draw(Picture("gray", (Placed("square", "red", 16, 16),)))
SCENE = Scene("single_object", (Thing("square", "red"),), None, "gray")


def spoilt(pixels: int) -> np.ndarray:
    """The clean picture with this many pixels of its empty top turned black."""
    image = CLEAN.copy()
    image.reshape(-1, 3)[:pixels] = 0
    return image


def test_clean_drawings_are_flawless():
    rng = np.random.default_rng(0)
    assert [utility.look(render(scene, rng)).quality for scene in random_scenes(rng, 60)] == [1.0] * 60


@pytest.mark.parametrize(("pixels", "quality"), [(8, 1.0), (9, np.exp(-1 / 25)), (33, np.exp(-1)), (58, np.exp(-2))])
def test_quality_counts_the_wrong_pixels_that_are_noticed(pixels, quality):
    image = spoilt(pixels)
    assert utility.look(image).quality == pytest.approx(quality, rel=1e-6)
    assert utility.score(image, SCENE) == pytest.approx(0.6 + 0.4 * quality, rel=1e-6)


def test_a_difference_nobody_sees_is_none_and_half_of_one_counts_half():
    faint = CLEAN.copy()
    faint[:4] += 18  # 31 RGB levels away
    assert utility.look(faint).quality == 1.0
    visible = CLEAN.copy()
    visible[:2, :, 0] += 64  # half way between unseen and glaring, on 64 pixels
    assert utility.look(visible).quality == pytest.approx(np.exp(-(32 - 8) / 25), rel=1e-6)


def test_what_no_object_explains_is_wrong():
    half = draw(Picture("gray", (Placed("ring", "blue", 8, 16), Placed("star", "red", 24, 16))))
    half[::2, 18:] = np.roll(half[::2, 18:], 4, axis=1)  # the star is torn
    assert utility.look(half).quality < 0.7


def test_ballots_state_the_true_utilities():
    rng = np.random.default_rng(0)
    scenes = random_scenes(rng, 12)
    images = np.stack([np.stack([render(scene, rng), render(scenes[0], rng)]) for scene in scenes])
    utilities = np.array([[utility.score(image, scene) for image in pair] for pair, scene in zip(images, scenes)])
    ballots = preference.Ballots(Samples(images, utilities, [""] * 12, scenes))
    rows = np.array([3, 7, 11, 0])
    pairs, found = ballots.draw(rows, rng)
    assert pairs[:, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]] and pairs.max() < 8
    pictures = images[rows].reshape(8, 32, 32, 3)
    expected = [[[utility.score(pictures[k], scenes[r]) for k in pair] for pair in own] for r, own in zip(rows, pairs)]
    np.testing.assert_allclose(found, expected)


def test_votes_follow_the_difference():
    rng = np.random.default_rng(0)
    gaps = np.array([0.0, 0.05, 0.2])
    utilities = np.repeat(np.stack([0.5 - gaps / 2, 0.5 + gaps / 2], 1), 4000, 0)
    share = preference.vote(utilities, rng).reshape(3, 4000).mean(1)
    np.testing.assert_allclose(share, 1 / (1 + np.exp(-20 * gaps)), atol=0.01)
