"""Instances against values worked out by hand, and against the recipe of mmdet written out from its definition."""

import math

import pytest
import torch
from torch.nn.functional import interpolate

from pnapo.detectors.instances import MOST, instances

FAR = -50.0


def by_definition(classes, masks, seen, shown):
    """(class, score, box) of the 100 likeliest (query, class), one by one, as mmdet's configuration and head define them."""
    pairs = []
    for query, logits in enumerate(classes.tolist()):
        total = sum(math.exp(value) for value in logits)
        pairs += [(math.exp(value) / total, query, label) for label, value in enumerate(logits[:-1])]
    found = []
    for probability, query, label in sorted(pairs, reverse=True)[:100]:
        large = interpolate(masks[query][None, None], size=seen, mode="bilinear", align_corners=False)
        large = interpolate(large, size=shown, mode="bilinear", align_corners=False)[0, 0].tolist()
        pixels = [(x, y, value) for y, row in enumerate(large) for x, value in enumerate(row) if value > 0]
        if pixels:
            mean = sum(1 / (1 + math.exp(-value)) for *_, value in pixels) / (len(pixels) + 1e-6)
            xs, ys = [x for x, _, _ in pixels], [y for _, y, _ in pixels]
            found.append((label, probability * mean, (min(xs), min(ys), max(xs) + 1, max(ys) + 1)))
    return sorted(found, key=lambda instance: -instance[1])


def test_two_objects_by_hand():
    """Query 0 is class 1 with ¾ · ½ (half of it is no object), its mask has pixels of σ(ln 3) = ¾ and σ(ln 9) = 9/10."""
    classes = torch.log(torch.tensor([[1.0, 3.0, 4.0], [1.0, 2.0, 1.0]]))
    masks = torch.full((2, 4, 6), FAR)
    masks[0, 1, 2], masks[0, 1, 3] = math.log(3), math.log(9)
    masks[1, 0, 0] = math.log(9)
    found = instances(classes, masks, (4, 6), (4, 6))
    assert [(one.label, one.box) for one in found] == [
        (1, (0, 0, 1, 1)),
        (1, (2, 1, 4, 2)),
        (0, (0, 0, 1, 1)),
        (0, (2, 1, 4, 2)),
    ]
    expected = [0.5 * 0.9, 3 / 8 * 0.825, 0.25 * 0.9, 1 / 8 * 0.825]
    assert [one.score for one in found] == pytest.approx(expected, rel=1e-5)
    assert found[1].mask.nonzero().tolist() == [[1, 2], [1, 3]]


def test_overlapping_objects_are_both_kept_and_one_query_may_be_two_classes():
    masks = torch.full((2, 4, 4), 3.0)
    found = instances(torch.tensor([[2.0, 1.9, 0.0], [2.0, FAR, 0.0]]), masks, (4, 4), (4, 4))
    assert [one.label for one in found] == [0, 0, 1, 1] and all(one.mask.all() for one in found)
    assert found[-1].score < 1e-15


def test_nothing_without_pixels_or_above_the_floor():
    classes, masks = torch.tensor([[9.0, 0.0, 0.0]]), torch.full((1, 4, 4), FAR)
    assert instances(classes, masks, (4, 4), (8, 8)) == []
    assert instances(classes, -masks, (4, 4), (8, 8), floor=1.0) == []


def test_masks_grow_in_two_steps_like_mmdets():
    """One logit of 4 × 4 at 8 × 8 and then at 4 × 4 is not what it was: bilinear, corners not aligned."""
    masks = torch.full((1, 4, 4), -1.0)
    masks[0, 1, 1] = 1.5
    (one,) = instances(torch.tensor([[50.0, 0.0]]), masks, (8, 8), (4, 4))
    # at 8 × 8 the four pixels around it are 9/16 · 2.5 − 1; their mean is the pixel at 4 × 4
    assert one.score == pytest.approx(1 / (1 + math.exp(-(9 / 16 * 2.5 - 1))), rel=1e-4) and one.box == (1, 1, 2, 2)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_recipe_of_mmdet(seed):
    generator = torch.Generator().manual_seed(seed)
    classes = 3 * torch.randn(9, 31, generator=generator)
    masks = 4 * torch.randn(9, 8, 10, generator=generator) - 3
    found = instances(classes, masks, (32, 40), (21, 27))
    expected = by_definition(classes, masks, (32, 40), (21, 27))
    assert len(found) == len(expected) <= MOST
    assert [(one.label, one.box) for one in found] == [(label, box) for label, _, box in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score, _ in expected], rel=1e-4)
    for floor in (0.05, 0.3, 0.9):
        some = instances(classes, masks, (32, 40), (21, 27), floor)
        kept = [one for one in found if one.score > floor]
        assert [one[:3] for one in some] == [one[:3] for one in kept]
        assert all(torch.equal(a.mask, b.mask) for a, b in zip(some, kept))
