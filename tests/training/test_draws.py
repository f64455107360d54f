import numpy as np
import pytest

from pnapo.training.draws import draw, visits_at


def test_every_epoch_is_a_permutation_and_batches_may_cross_epochs():
    whole = visits_at(0, 21, 7, seed=3)
    for epoch in range(3):
        assert sorted(whole.indices[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert whole.visits.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert not np.array_equal(whole.indices[:7], whole.indices[7:14])
    pieces = [visits_at(start, 3, 7, seed=3) for start in range(0, 21, 3)]
    assert np.array_equal(np.concatenate([piece.indices for piece in pieces]), whole.indices)
    assert not np.array_equal(visits_at(0, 7, 7, seed=4).indices, whole.indices[:7])


def test_a_draw_depends_on_prompt_and_visit_and_shares_its_time_across_paths():
    t, noise = draw(0, "a", 0, sampling="uniform", fresh=1, shape=(2, 3))
    again, none = draw(0, "a", 0, sampling="uniform", fresh=0, shape=(2, 3))
    assert t == again and noise.shape == (1, 2, 3) and none.shape == (0, 2, 3)
    others = [
        draw(*key, sampling="uniform", fresh=1, shape=(2, 3))[0] for key in [(1, "a", 0), (0, "b", 0), (0, "a", 1)]
    ]
    assert len({t, *others}) == 4


def test_the_time_distribution_changes_only_the_time():
    t, noise = draw(0, "a", 0, sampling="uniform", fresh=1, shape=(4,))
    squeezed, same = draw(0, "a", 0, sampling="logit_normal", fresh=1, shape=(4,))
    assert np.array_equal(noise, same)
    times = [draw(0, "a", visit, sampling="logit_normal", fresh=0, shape=())[0] for visit in range(400)]
    assert squeezed != t
    # of a standard normal's sigmoid, 80.4 % lie within 0.215..0.785 (|z| < 1.296)
    assert np.mean([0.215 < time < 0.785 for time in times]) == pytest.approx(0.804, abs=0.06)
