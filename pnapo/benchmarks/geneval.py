"""GenEval's decision rules (djghosh13/geneval): does a picture hold what its metadata ask for?

The detector is behind an interface; with another detector than the official Mask2Former the scores are not comparable with
published ones, and tables say which it was.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pnapo.detectors import Detection

THRESHOLD = 0.3
COUNTING_THRESHOLD = 0.9
MAX_OBJECTS = 16
POSITION_SHRINK = 0.1
AXIS = 0.5  # share of the direction along an axis from which a relation holds
RELATIONS = ("left of", "right of", "above", "below")

ColorOf = Callable[[Detection], str]


def problem(metadata: Mapping[str, Any]) -> str | None:
    """Why `judge` cannot work by an entry of a GenEval list, in a few words; None if it can."""
    if not isinstance(metadata.get("tag"), str):
        return "tag is not a text"
    for part in ("include", "exclude"):
        items = metadata.get(part, [])
        if not isinstance(items, list):
            return f"{part} is not a list"
        for number, item in enumerate(items):
            where = f"{part}[{number}]"
            if not isinstance(item, dict) or not isinstance(item.get("class"), str):
                return f"{where} names no class"
            if type(item.get("count")) is not int or item["count"] < 1:
                return f"{where}.count is not a whole number above 0"
            if not isinstance(item.get("color", ""), str):
                return f"{where}.color is not a text"
            match item.get("position"):
                case None if "position" not in item:
                    pass
                case [relation, int(target)] if relation in RELATIONS and 0 <= target < number:
                    pass
                case _:
                    return f"{where}.position is not a relation ({', '.join(RELATIONS)}) and the number of a part before it"
    return None


def boxes_by_class(detections: Sequence[Detection], counting: bool) -> dict[str, list[Detection]]:
    """Detections above the task's threshold, best first, at most 16 a class."""
    threshold = COUNTING_THRESHOLD if counting else THRESHOLD
    found: dict[str, list[Detection]] = {}
    for detection in sorted(detections, key=lambda d: -d.score):
        boxes = found.setdefault(detection.label, [])
        if detection.score > threshold and len(boxes) < MAX_OBJECTS:
            boxes.append(detection)
    return {label: boxes for label, boxes in found.items() if boxes}


def relations(first: Detection, second: Detection) -> set[str]:
    """Where `first` lies as seen from `second`: any of left of, right of, above, below; none if they overlap too much.

    The offset of the centres is shrunk by a tenth of the summed box sizes along each axis, then normalised.
    """
    boxes = np.array([first.box, second.box]).reshape(2, 2, 2)
    centres, sizes = boxes.mean(1), np.abs(np.diff(boxes, axis=1))[:, 0]
    offset = centres[0] - centres[1]
    shrunk = np.maximum(np.abs(offset) - POSITION_SHRINK * sizes.sum(0), 0) * np.sign(offset)
    if np.all(np.abs(shrunk) < 1e-3):
        return set()
    dx, dy = shrunk / np.linalg.norm(offset)
    return {name for name, holds in zip(RELATIONS, (dx < -AXIS, dx > AXIS, dy < -AXIS, dy > AXIS)) if holds}


def judge(metadata: Mapping[str, Any], detections: Sequence[Detection], color_of: ColorOf) -> tuple[bool, str]:
    """Whether a picture is correct, and what is wrong with it.

    `metadata` is an entry of GenEval's list (tag, include, exclude). Every include needs at least `count` objects of its
    class; the best `count` of them must have its colour and stand in its relation to the group it names; no exclude may
    reach its count.
    """
    found = boxes_by_class(detections, metadata["tag"] == "counting")
    groups: list[list[Detection] | None] = []
    reasons = []
    for wanted in metadata.get("include", []):
        label, count = wanted["class"], wanted["count"]
        boxes = found.get(label, [])[:count]
        if len(boxes) < count:
            reasons.append(f"expected {label}>={count}, found {len(boxes)}")
            groups.append(None)
            continue
        if "color" in wanted:
            colors = [color_of(box) for box in boxes]
            if colors.count(wanted["color"]) < count:
                reasons.append(f"expected {wanted['color']} {label}>={count}, found {', '.join(colors)}")
                groups.append(None)
                continue
        if "position" in wanted:
            relation, target = wanted["position"]
            others = groups[target]
            if others is None:
                reasons.append(f"no target for {label} to be {relation}")
                boxes = None
            elif not all(relation in relations(box, other) for box in boxes for other in others):
                reasons.append(f"expected {label} {relation} target")
                boxes = None
        groups.append(boxes)
    for unwanted in metadata.get("exclude", []):
        boxes = found.get(unwanted["class"], [])
        if len(boxes) >= unwanted["count"]:
            reasons.append(f"expected {unwanted['class']}<{unwanted['count']}, found {len(boxes)}")
    return not reasons, "; ".join(reasons)
