"""LAION's aesthetic head against five matrix products by its official weight names."""

import numpy as np
import pytest
import torch

from pnapo.errors import UserError
from pnapo.rewards import load_reward


def test_the_rating_is_the_head_on_the_unit_embedding(rewards, examples, plain_open_clip):
    state = torch.load(rewards["aesthetic"].checkpoint)
    assert [f"layers.{k}.{part}" for k in (0, 2, 4, 6, 7) for part in ("weight", "bias")] == list(state)
    x = plain_open_clip.images(examples.images)
    for k in (0, 2, 4, 6, 7):
        x = x @ state[f"layers.{k}.weight"].T + state[f"layers.{k}.bias"]
    scorer = load_reward(rewards["aesthetic"])
    scores = scorer.score(examples.images, examples.prompts)
    assert scorer.display_scale == 1 and scores.dtype == np.float32 and np.ptp(scores) > 1e-4
    np.testing.assert_allclose(scores, x[:, 0], atol=1e-6)


def test_a_head_for_another_clip_is_refused(rewards, tmp_path):
    state = torch.load(rewards["aesthetic"].checkpoint)
    state["layers.0.weight"] = torch.zeros(1024, 768)
    torch.save(state, tmp_path / "sac+logos+ava1-l14-linearMSE.pth")
    reward = rewards["aesthetic"].model_copy(update={"checkpoint": str(tmp_path / "sac+logos+ava1-l14-linearMSE.pth")})
    with pytest.raises(UserError, match=r"linearMSE\.pth: the head reads 768 features, its CLIP gives 64"):
        load_reward(reward)


def test_version_1_is_one_product_by_its_own_weight_names(rewards, examples, plain_open_clip, tmp_path):
    state = {"weight": torch.randn(1, 64), "bias": torch.tensor([3.5])}  # as in LAION-AI/aesthetic-predictor, there 768
    torch.save(state, tmp_path / "sa_0_4_vit_l_14_linear.pth")
    reward = rewards["aesthetic"].model_copy(update={"checkpoint": str(tmp_path / "sa_0_4_vit_l_14_linear.pth")})
    scorer = load_reward(reward)
    expected = plain_open_clip.images(examples.images) @ state["weight"][0] + 3.5
    assert scorer.display_scale == 1
    np.testing.assert_allclose(scorer.score(examples.images, examples.prompts), expected, atol=1e-5)
    state["weight"] = torch.zeros(1, 768)
    torch.save(state, reward.checkpoint)
    with pytest.raises(UserError, match=r"linear\.pth: the head reads 768 features, its CLIP gives 64"):
        load_reward(reward)
