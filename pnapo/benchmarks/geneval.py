"""GenEval's decision rules (djghosh13/geneval, evaluation/evaluate_images.py): does a picture hold what its metadata ask for?

The detector is behind an interface; with another detector than the official Mask2Former the scores are not comparable with
published ones, and tables say which it was. Scores and boxes are compared in float32, as the official arrays are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pnapo.config.schema import Rules
from pnapo.detectors import Detection

OFFICIAL = Rules()
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


def overlap(first: Detection, second: Detection) -> float:
    """Intersection over union of two boxes, 0..1. The official function counts the edge of a box as one pixel more."""
    ours, theirs = np.array(first.box), np.array(second.box)

    def area(low: np.ndarray, high: np.ndarray) -> float:
        return float(np.maximum(high - low + 1, 0).prod())

    common = area(np.maximum(ours[:2], theirs[:2]), np.minimum(ours[2:], theirs[2:]))
    union = area(ours[:2], ours[2:]) + area(theirs[:2], theirs[2:]) - common
    return common / union if union else 0.0


def boxes_by_class(
    detections: Sequence[Detection], counting: bool, rules: Rules = OFFICIAL
) -> dict[str, list[Detection]]:
    """Detections above the task's threshold, best first, at most 16 a class, of which none overlaps a better one too much.

    Equal scores stay in the order of `detections`; the official sort leaves theirs open.
    """
    threshold = np.float32(rules.counting_threshold if counting else rules.threshold)
    found: dict[str, list[Detection]] = {}
    for detection in sorted(detections, key=lambda d: -np.float32(d.score)):
        if np.float32(detection.score) > threshold:
            found.setdefault(detection.label, []).append(detection)
    return {label: _apart(boxes[: rules.max_objects], rules.max_overlap) for label, boxes in found.items()}


def _apart(boxes: list[Detection], most: float) -> list[Detection]:
    """Those that overlap no better one that is kept by `most` or more; all of them if it is 1."""
    kept: list[Detection] = []
    for box in boxes:
        if most == 1 or all(overlap(other, box) < most for other in kept):
            kept.append(box)
    return kept


def relations(first: Detection, second: Detection, shrink: float = OFFICIAL.position_threshold) -> set[str]:
    """Where `first` lies as seen from `second`: any of left of, right of, above, below; none if they overlap too much.

    The offset of the centres is shrunk by a share (a tenth) of the summed box sizes along each axis, then normalised.
    """
    boxes = np.array([first.box, second.box], np.float32).reshape(2, 2, 2)
    centres, sizes = boxes.mean(1), np.abs(np.diff(boxes, axis=1))[:, 0]
    offset = centres[0] - centres[1]
    shrunk = np.maximum(np.abs(offset) - shrink * sizes.sum(0), 0) * np.sign(offset)
    if np.all(np.abs(shrunk) < 1e-3):
        return set()
    dx, dy = shrunk / np.linalg.norm(offset)
    return {name for name, holds in zip(RELATIONS, (dx < -AXIS, dx > AXIS, dy < -AXIS, dy > AXIS)) if holds}


def judge(
    metadata: Mapping[str, Any], detections: Sequence[Detection], color_of: ColorOf, rules: Rules = OFFICIAL
) -> tuple[bool, str]:
    """Whether a picture is correct, and what is wrong with it.

    `metadata` is an entry of GenEval's list (tag, include, exclude). Every include needs at least `count` objects of its
    class; the best `count` of them must have its colour and stand in its relation to the group it names; no exclude may
    reach its count.
    """
    found = boxes_by_class(detections, metadata["tag"] == "counting", rules)
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
            elif not all(relation in relations(b, o, rules.position_threshold) for b in boxes for o in others):
                reasons.append(f"expected {label} {relation} target")
                boxes = None
        groups.append(boxes)
    for unwanted in metadata.get("exclude", []):
        boxes = found.get(unwanted["class"], [])
        if len(boxes) >= unwanted["count"]:
            reasons.append(f"expected {unwanted['class']}<{unwanted['count']}, found {len(boxes)}")
    return not reasons, "; ".join(reasons)
