"""The sextuples that training sees: the winner's tensors are the winner's, ties are left out."""

import numpy as np
import pytest
import torch

from pnapo.artifacts import write_table
from pnapo.errors import UserError
from pnapo.pairs.labels import label
from pnapo.pairs.preferences import load_pairs
from pnapo.pairs.store import PairSet


@pytest.fixture
def load(world, made, tmp_path):
    def of(scores, ids=None, **options):
        write_table(tmp_path / "labels.parquet", label(ids or list(world.prompts["prompt_id"]), scores))
        return load_pairs(made, tmp_path / "labels.parquet", **options)

    return of


def test_winner_and_loser_keep_their_latent_and_their_noise(made, load):
    scores = np.zeros((12, 2), np.float32)
    scores[3], scores[7], scores[8] = (0.25, 0.5), (0.75, 0.25), (0.0, 1.0)
    found, pairs = load(scores), PairSet.open(made)
    assert found.prompt_ids == [pairs.prompt_ids[row] for row in (3, 7, 8)]
    assert found.gap.tolist() == [0.25, 0.5, 1.0] and found.gap.dtype == torch.float64
    for place, (row, winner) in enumerate([(3, 1), (7, 0), (8, 1)]):
        assert torch.equal(found.x0_w[place], pairs.latent([row])[0, winner])
        assert torch.equal(found.x0_l[place], pairs.latent([row])[0, 1 - winner])
        assert torch.equal(found.xT_w[place], pairs.noise([row])[0, winner])
        assert torch.equal(found.xT_l[place], pairs.noise([row])[0, 1 - winner])
    whole = found.x0_w[:]
    assert whole.shape == found.x0_w.shape == (3, *pairs.latent_shape) and found.x0_w.dim() == whole.dim()
    assert torch.equal(found.x0_w[torch.tensor([2, 0, 2])], whole[[2, 0, 2]]) and torch.equal(found.x0_w[-1], whole[2])
    assert found.settings["guidance"] == 1.0 and found.settings["family"] == "sd3"


def test_equal_gaps_of_another_winner_or_noise_are_told_apart(load):
    one, other = np.zeros((12, 2), np.float32), np.zeros((12, 2), np.float32)
    one[3, 0] = other[3, 1] = 0.5
    found = [load(one), load(one), load(other), load(one, shuffle=1)]
    assert [pairs.made_from == found[0].made_from for pairs in found] == [True, True, False, False]
    assert len({pairs.digest for pairs in found}) == 1 != len(found[0].digest)


def test_small_gaps_are_left_out_on_request(load):
    scores = np.zeros((12, 2), np.float32)
    scores[1, 0], scores[4, 1], scores[9, 0] = 0.25, 0.5, 1.0
    assert load(scores, min_gap=0.5).gap.tolist() == [0.5, 1.0]
    with pytest.raises(UserError, match=r"labels\.parquet: no pair has a gap of 1\.5 or more; the largest is 1$"):
        load(scores, min_gap=1.5)


def test_the_first_prompts_are_taken_before_anything_is_left_out(load):
    scores = np.zeros((12, 2), np.float32)
    scores[1, 0], scores[4, 1], scores[9, 0] = 0.25, 0.5, 1.0
    assert load(scores, first=5).gap.tolist() == [0.25, 0.5]


def test_labels_of_more_samples_than_there_are_are_refused(load):
    scores = np.zeros((12, 3), np.float32)
    scores[5, 2] = 1.0
    with pytest.raises(UserError, match=r"labels\.parquet: row 5 is no label"):
        load(scores)


def test_nothing_but_ties_is_one_clear_line(load):
    with pytest.raises(UserError, match=r"labels\.parquet: all 12 pairs are tied") as error:
        load(np.ones((12, 2), np.float32))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [lambda ids: ids[::-1], lambda ids: ids[:-1], lambda ids: ["0" * 16, *ids[1:]]])
def test_labels_of_another_pair_set_are_refused(world, load, change):
    ids = change(list(world.prompts["prompt_id"]))
    with pytest.raises(UserError, match=r"labels\.parquet: labels of another pair set"):
        load(np.random.default_rng(0).random((len(ids), 2), np.float32), ids)
