"""Colours against open_clip alone, on cutouts made with PIL as the official code makes them."""

import numpy as np
import open_clip
import torch
from PIL import Image

from pnapo.detectors import Detection
from pnapo.detectors.colors import COLORS, ColorClassifier, cutout
from pnapo.world.render import sprite
from pnapo.world.scenes import COLORS as PAINTS
from pnapo.world.scenes import SHAPES


def detection(image, seed=0, label="tv remote"):
    """An object with a ragged mask inside its box."""
    mask = np.zeros(image.shape[:2], bool)
    mask[9:30, 5:33] = np.random.default_rng(seed).random((21, 28)) > 0.4
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Detection(label, 0.9, tuple(map(float, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))), mask)


def official_cutout(image, found):
    """`ImageCrops.__getitem__`: paste on #999 through the mask, crop to the box."""
    picture = Image.fromarray(image)
    grey = Image.new("RGB", picture.size, color="#999")
    return Image.composite(picture, grey, Image.fromarray(found.mask)).crop(found.box)


def test_the_cutout_is_the_official_one(pictures):
    for seed, image in enumerate(pictures):
        found = detection(image, seed)
        assert np.array_equal(cutout(image, found), np.array(official_cutout(image, found)))
    assert (cutout(pictures[0], detection(pictures[0])) == 0x99).all(-1).any()


def test_the_colour_is_that_of_the_nearest_mean_of_three_texts(pictures, rewards):
    name = rewards["clip"].model
    network, transform = open_clip.create_model_from_pretrained(name)
    tokenizer, colors = open_clip.get_tokenizer(name), ColorClassifier(name, None, "cpu")
    told = []
    with torch.no_grad():
        for seed, image in enumerate(pictures):
            found = detection(image, seed, label=("tv remote", "cow")[seed % 2])
            picture = network.encode_image(transform(official_cutout(image, found))[None])[0]
            sums = []
            for color in COLORS:
                kinds = (f"a {color} {found.label}", f"a {color}-colored {found.label}", f"a {color} object")
                texts = network.encode_text(tokenizer([f"a photo of {kind}" for kind in kinds]))
                mean = (texts / texts.norm(dim=1, keepdim=True)).mean(0)
                sums.append(float(picture @ mean / mean.norm() / picture.norm()))
            directions = colors.directions(found.label)
            pixels = colors.clip.pixels(colors.clip.prepare(cutout(image, found))[None])[0]
            np.testing.assert_allclose(directions @ pixels, sums, atol=1e-5)
            told.append(colors.color_of(image, found))
            assert told[-1] == COLORS[int(np.argmax(sums))]
    assert len(COLORS) == len(set(COLORS)) == 10


def test_a_trained_clip_tells_colours_apart():
    """The embedded world's, on its own shapes and colours, flat: 30 of 36 when this was written, 6 by chance."""
    colors, right = ColorClassifier("local-dir:assets/world/clip", None, "cpu"), 0
    known = [COLORS.index(name) for name in PAINTS]
    for shape in SHAPES:
        mask = np.pad(sprite(shape) > 0.5, 8)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        found = Detection(shape, 0.9, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), mask)
        for number, paint in zip(known, PAINTS.values()):
            image = np.full((*mask.shape, 3), paint, np.uint8)
            pixels = colors.clip.pixels(colors.clip.prepare(cutout(image, found))[None])[0]
            right += known[int((colors.directions(shape)[known] @ pixels).argmax())] == number
    assert right >= 24
