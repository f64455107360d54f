"""Scenes, their splits and their captions."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pnapo.errors import UserError
from pnapo.world import captions
from pnapo.world.scenes import FAMILIES, Scene, Thing, all_scenes, scenes_of, split_of


def test_the_grammar_has_every_scene_of_the_six_families():
    counts = Counter(scene.family for scene in all_scenes())
    assert counts == {
        "single_object": 6,
        "two_object": 30,
        "counting": 18,
        "colors": 36,
        "position": 120,
        "color_attr": 900,
    }


def test_no_two_splits_share_an_object_set():
    split_by_key = {}
    for scene in all_scenes():
        assert split_by_key.setdefault(scene.key, split_of(scene)) == split_of(scene)
    assert all(scenes_of("test", family) for family in FAMILIES)


def test_meaning_joins_wordings_and_keeps_scenes_apart():
    ring, star = Thing("ring"), Thing("star")
    left = Scene("position", (ring, star), "left of")
    assert left.meaning == Scene("position", (star, ring), "right of").meaning
    assert left.meaning != Scene("position", (star, ring), "left of").meaning
    assert Scene("two_object", (ring, star)).meaning == Scene("two_object", (star, ring)).meaning
    red, blue = Thing("ring", "red"), Thing("star", "blue")
    swapped = (Thing("ring", "blue"), Thing("star", "red"))
    assert Scene("color_attr", (red, blue)).meaning != Scene("color_attr", swapped).meaning


def test_captions_use_genevals_wording():
    scene = Scene("color_attr", (Thing("ring", "red"), Thing("cross", "blue")), background="gray")
    assert captions.caption(scene) == "a photo of a red ring and a blue cross on a gray background"
    assert captions.caption(Scene("counting", (Thing("cross"),) * 3)) == "a photo of three crosses"
    entry = captions.geneval_entry(Scene("position", (Thing("ring"), Thing("star")), "above"))
    assert entry["include"] == [
        {"class": "star", "count": 1},
        {"class": "ring", "count": 1, "position": ["above", 0]},
    ]


def test_every_word_of_every_wording_is_in_the_vocabulary():
    known, rng = set(captions.words()), np.random.default_rng(0)
    for scene in rng.choice(np.array(all_scenes(), dtype=object), 300):
        scene = replace(scene, background="brown")
        for text in (captions.caption(scene), captions.training_caption(scene, rng), captions.freeform(scene, rng)):
            assert set(text.replace(",", " ").split()) <= known, text


def test_scenes_survive_json_and_nonsense_is_refused():
    for scene in all_scenes()[::37]:
        assert captions.scene_from_json(captions.scene_to_json(scene)) == scene
    with pytest.raises(UserError, match="not a scene"):
        captions.scene_from_json('{"family": "cats"}')
