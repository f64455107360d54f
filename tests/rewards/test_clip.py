"""CLIP score against open_clip alone."""

import numpy as np

from pnapo.rewards import load_reward


def test_the_score_is_the_cosine(rewards, examples, plain_open_clip):
    scorer = load_reward(rewards["clip"])
    scores = scorer.score(examples.images, examples.prompts)
    expected = (plain_open_clip.images(examples.images) * plain_open_clip.texts(examples.prompts)).sum(1)
    assert scorer.display_scale == 100 and scores.dtype == np.float32 and np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, expected, atol=1e-5)
