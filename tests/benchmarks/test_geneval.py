"""GenEval's decision rules, task by task at their borders, and on every entry of the official list."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pnapo.benchmarks.geneval import judge, problem, relations
from pnapo.detectors import Detection
from pnapo.world.testsets import write_list

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "geneval_metadata.jsonl"
MASK = np.zeros((1, 1), bool)
TASKS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]


def seen(label, score=0.95, at=(0, 0), side=20.0, color=None):
    """A detection of a square object centred at `at`."""
    x, y = at
    return Detection(label, score, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), MASK, color)


def verdict(tag, include, detections, exclude=None):
    metadata = {"tag": tag, "include": include} | ({"exclude": exclude} if exclude else {})
    return judge(metadata, detections, lambda box: box.color)


def wanted(label, count=1, **more):
    return {"class": label, "count": count, **more}


def test_single_object_needs_a_score_above_0_3():
    assert verdict("single_object", [wanted("bench")], [seen("bench", 0.301)]) == (True, "")
    assert verdict("single_object", [wanted("bench")], [seen("bench", 0.3)]) == (False, "expected bench>=1, found 0")
    assert not verdict("single_object", [wanted("bench")], [seen("cow")])[0]
    assert not verdict("single_object", [wanted("bench")], [])[0]


def test_two_objects_must_both_be_there():
    include = [wanted("cow"), wanted("vase")]
    assert verdict("two_object", include, [seen("vase", 0.4), seen("cow", 0.35), seen("cow")])[0]
    assert verdict("two_object", include, [seen("vase"), seen("vase")]) == (False, "expected cow>=1, found 0")


def test_counting_counts_scores_above_0_9_and_refuses_one_too_many():
    def count(scores):
        return verdict("counting", [wanted("cup", 2)], [seen("cup", s) for s in scores], [wanted("cup", 3)])

    assert count([0.95, 0.91, 0.9, 0.5]) == (True, "")  # the last two do not count
    assert count([0.95, 0.9]) == (False, "expected cup>=2, found 1")
    assert count([0.95, 0.92, 0.91]) == (False, "expected cup<3, found 3")
    assert verdict("two_object", [wanted("cup", 2)], [seen("cup", 0.5)] * 3)[0]  # elsewhere 0.3, and more are welcome


def test_at_most_16_objects_of_a_class_are_kept():
    boxes = [seen("cup", 0.95)] * 20
    assert verdict("counting", [wanted("cup", 16)], boxes, [wanted("cup", 17)])[0]
    assert verdict("counting", [wanted("cup", 17)], boxes) == (False, "expected cup>=17, found 16")


def test_colours_are_asked_of_the_best_count_boxes_only():
    include = [wanted("cow", color="red")]
    red, blue = seen("cow", 0.9, color="red"), seen("cow", 0.8, color="blue")
    assert verdict("colors", include, [blue, red])[0]
    assert verdict("colors", include, [red, seen("cow", 0.95, color="blue")]) == (
        False,
        "expected red cow>=1, found blue",
    )
    two = [wanted("cow", 2, color="red")]
    assert verdict("colors", two, [red, seen("cow", 0.85, color="red"), blue])[0]
    assert not verdict("colors", two, [red, blue, seen("cow", 0.4, color="red")])[0]


def test_each_object_must_have_its_own_colour():
    include = [wanted("cow", color="red"), wanted("cup", color="blue")]
    assert verdict("color_attr", include, [seen("cow", color="red"), seen("cup", color="blue")])[0]
    correct, reason = verdict("color_attr", include, [seen("cow", color="blue"), seen("cup", color="red")])
    assert not correct and reason == "expected red cow>=1, found blue; expected blue cup>=1, found red"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((100, 0), {"right of"}),
        ((-100, 0), {"left of"}),
        ((0, 100), {"below"}),
        ((0, -100), {"above"}),
        ((80, -80), {"right of", "above"}),
        ((4, 0), set()),  # 0.1·(20 + 20) = 4: within the tolerance
        ((4, 4), set()),
        ((8, 0), set()),  # 8 − 4 = 4 is exactly half of 8, and more than half is needed
        ((8.1, 0), {"right of"}),
        ((0, -8.1), {"above"}),
        ((-100, 62), {"left of"}),  # 58/117.7 < 0.5
        ((-100, 66), {"left of", "below"}),  # 62/119.8 > 0.5
    ],
)
def test_relations_at_their_borders(at, expected):
    assert relations(seen("cow", at=at), seen("cup")) == expected
    mirrored = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    assert relations(seen("cup"), seen("cow", at=at)) == {mirrored[name] for name in expected}


def test_larger_boxes_need_more_distance():
    assert relations(seen("cow", at=(20, 0), side=20), seen("cup", side=20)) == {"right of"}
    assert relations(seen("cow", at=(20, 0), side=80), seen("cup", side=40)) == set()


def test_position_is_asked_of_the_best_boxes_and_of_the_group_it_names():
    include = [wanted("cup"), wanted("cow", position=["left of", 0])]
    cup, left, right = seen("cup"), seen("cow", 0.8, at=(-50, 0)), seen("cow", 0.9, at=(50, 0))
    assert verdict("position", include, [cup, left])[0]
    assert verdict("position", include, [cup, left, right]) == (False, "expected cow left of target")
    assert verdict("position", include, [left]) == (
        False,
        "expected cup>=1, found 0; no target for cow to be left of",
    )
    assert not verdict("position", include, [cup, seen("cow")])[0]


def test_a_group_out_of_its_place_is_no_target_for_the_next():
    include = [wanted("cup"), wanted("cow", position=["left of", 0]), wanted("dog", position=["above", 1])]
    cup, dog = seen("cup"), seen("dog", at=(-50, -90))
    assert verdict("position", include, [cup, dog, seen("cow", at=(-50, 0))]) == (True, "")
    assert verdict("position", include, [cup, dog, seen("cow", at=(50, 0))]) == (
        False,
        "expected cow left of target; no target for dog to be above",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tag": 3}, "tag is not a text"),
        ({"include": "cow"}, "include is not a list"),
        ({"include": ["cow"]}, r"include\[0\] names no class"),
        ({"include": [{"class": "cow"}]}, r"include\[0\]\.count is not a whole number above 0"),
        ({"include": [wanted("cow", 0)]}, r"include\[0\]\.count"),
        ({"include": [wanted("cow", True)]}, r"include\[0\]\.count"),
        ({"include": [wanted("cow", color=7)]}, r"include\[0\]\.color is not a text"),
        ({"include": [wanted("cow", position=["left of", 0])]}, r"include\[0\]\.position"),
        ({"include": [wanted("cup"), wanted("cow", position=["left of", -1])]}, r"include\[1\]\.position"),
        ({"include": [wanted("cup"), wanted("cow", position=["inside", 0])]}, r"include\[1\]\.position"),
        ({"include": [wanted("cup"), wanted("cow", position=None)]}, r"include\[1\]\.position"),
        ({"exclude": [wanted("cow", 1.5)]}, r"exclude\[0\]\.count"),
    ],
)
def test_an_entry_without_sense_is_told_from_a_good_one(change, reason):
    good = {"tag": "position", "include": [wanted("cup"), wanted("cow", position=["left of", 0])]}
    assert problem(good) is None
    assert re.match(reason, problem(good | change))


def entries():
    """The world's own GenEval list, and the official one where it lies beside the checkout."""
    lines = list(write_list("geneval", None)["geneval"])
    if OFFICIAL.exists():
        official = OFFICIAL.read_text("utf-8").splitlines()
        assert len(official) == 553
        lines += official
    return [json.loads(line) for line in lines]


def perfect(entry):
    """Detections of exactly what an entry asks for."""
    offsets = {"left of": (-90, 0), "right of": (90, 0), "above": (0, -90), "below": (0, 90)}
    found = []
    for group, part in enumerate(entry["include"]):
        x, y = offsets[part["position"][0]] if "position" in part else (30 * group, 300 * group)
        color = part.get("color")
        found += [seen(part["class"], at=(x + 40 * k, y), color=color) for k in range(part["count"])]
    return found


def test_every_entry_passes_on_what_it_asks_for_and_fails_on_anything_less():
    tags = set()
    for entry in entries():
        tags.add(entry["tag"])
        assert problem(entry) is None, entry
        boxes = perfect(entry)
        extra = seen("something else", at=(500, 500))
        assert judge(entry, [extra, *boxes][::-1], lambda box: box.color) == (True, ""), entry
        wrong = {"nothing": [], "weak": [seen(b.label, 0.3, at=b.box[:2], color=b.color) for b in boxes]}
        wrong |= {f"without {k}": boxes[:k] + boxes[k + 1 :] for k in range(len(boxes))}
        if entry["tag"] == "counting":
            wrong["one more"] = [*boxes, seen(boxes[0].label, at=(500, 500))]
        if entry["tag"] in ("colors", "color_attr"):
            wrong["colours"] = [seen(b.label, color="no colour") for b in boxes]
        if entry["tag"] == "position":
            wrong["mirrored"] = [seen(b.label, at=(-b.box[0] - 10, -b.box[1] - 10)) for b in boxes]
            wrong["one place"] = [seen(b.label) for b in boxes]
        for name, damaged in wrong.items():
            correct, reason = judge(entry, damaged, lambda box: box.color)
            assert not correct and reason.startswith(("expected", "no target")), (name, entry)
    assert tags == set(TASKS)
