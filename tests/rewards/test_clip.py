"""CLIP score against open_clip alone."""

import numpy as np
import open_clip
import pytest

from pnapo.rewards import base, load_reward
from pnapo.rewards.openclip import quick_gelu


def test_the_score_is_the_cosine(rewards, examples, plain_open_clip):
    scorer = load_reward(rewards["clip"])
    scores = scorer.score(examples.images, examples.prompts)
    expected = (plain_open_clip.images(examples.images) * plain_open_clip.texts(examples.prompts)).sum(1)
    assert scorer.display_scale == 100 and scores.dtype == np.float32 and np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_features_of_a_few_prompts_are_in_memory_at_a_time(rewards, examples, monkeypatch):
    scorer = load_reward(rewards["clip"].model_copy(update={"batch": 2}))
    whole, asked, texts = scorer.score(examples.images, examples.prompts), [], scorer.texts
    monkeypatch.setattr(base, "WINDOW", 5)
    monkeypatch.setattr(scorer, "texts", lambda prompts: asked.append(len(prompts)) or texts(prompts))
    assert np.array_equal(scorer.score(examples.images, examples.prompts), whole)
    assert asked == [3, 3], "two batches of two images, then the other three; one prompt is there twice"


@pytest.mark.parametrize(
    ("model", "weights", "expected"),
    [
        ("ViT-L-14", "openai", True),  # LAION's aesthetic head stands on these
        ("ViT-L-14-quickgelu", "openai", True),
        ("ViT-H-14", "laion2b_s32b_b79k", False),
        ("ViT-L-14", "some/file.pt", False),
        ("local-dir:some/folder", None, False),
    ],
)
def test_weights_by_tag_get_the_activation_they_were_trained_with(model, weights, expected):
    assert quick_gelu(model, weights) is expected
    if weights == "openai":
        network = open_clip.create_model(model, load_weights=False, force_quick_gelu=expected)
        kinds = {type(module).__name__ for module in network.modules()}
        assert "QuickGELU" in kinds and "GELU" not in kinds
