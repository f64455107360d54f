"""From scores to winner, loser and gap; labels lie beside the tensors and never change them."""

import numpy as np
import pandas as pd
import pytest
import torch

from pnapo.artifacts import prompt_id, read_table, sha256
from pnapo.errors import UserError
from pnapo.pairs.images import images_of
from pnapo.pairs.labels import label, score_samples
from pnapo.pairs.store import PairSet
from pnapo.rewards import load_reward

IDS = ["a", "b", "c", "d"]


def test_labels_of_two_samples_by_hand():
    scores = np.array([[0.25, 0.5], [0.5, 0.25], [0.3, 0.3], [-1.0, -3.0]], np.float32)
    expected = pd.DataFrame(
        {
            "prompt_id": IDS,
            "score_0": scores[:, 0],
            "score_1": scores[:, 1],
            "winner": [1, 0, 0, 0],
            "loser": [0, 1, 1, 1],
            "gap": [0.25, 0.25, 0.0, 2.0],
            "tie": [False, False, True, False],
        }
    )
    pd.testing.assert_frame_equal(label(IDS, scores), expected, check_exact=True)


def test_of_three_samples_the_first_best_and_the_first_worst_are_taken():
    scores = np.array([[1, 3, 2], [2, 2, 1], [1, 3, 1], [5, 5, 5]], np.float32)
    table = label(IDS, scores)
    assert table["winner"].tolist() == [1, 0, 1, 0] and table["loser"].tolist() == [0, 2, 0, 1]
    assert table["gap"].tolist() == [2, 1, 2, 0] and table["tie"].tolist() == [False, False, False, True]
    assert table["score_2"].tolist() == [2, 1, 1, 5]


def test_the_gap_is_the_exact_difference_of_the_stored_scores():
    scores = np.array([[0.1, 0.30000001]], np.float32)
    table = label(["a"], scores)
    assert table["gap"][0] == float(scores[0, 1]) - float(scores[0, 0])
    assert table["gap"].dtype == np.float64 and table["score_0"].dtype == np.float32


def test_each_sample_is_judged_with_its_own_image_and_prompt(world, made, decoded, rewards):
    pairs, scorer, lines = PairSet.open(made), load_reward(rewards["hps"]), []
    scores = score_samples(images_of(made, decoded), world.prompts, scorer, log=lines.append)
    assert scores.shape == (12, 2) and scores.dtype == np.float32 and lines == ["labels: 24/24 images, 0 s left"]
    texts = dict(zip(world.prompts["prompt_id"], world.prompts["prompt"]))
    for row, column in ((0, 0), (3, 1), (11, 0)):
        (image,) = world.backbone.decode(pairs.latent([row], [column]), 4)
        alone = scorer.score([image], [texts[pairs.prompt_ids[row]]])
        assert scores[row, column] == alone[0]
    assert np.ptp(scores) > 0.01


def test_relabelling_writes_other_labels_and_leaves_the_tensors_alone(world, made, decoded, rewards, script, tmp_path):
    files = sorted(made.parent.rglob("*.*"))
    before = [sha256(file) for file in files]
    tables = {}
    for name in ("hps", "pickscore"):
        arguments = ["--pairs", made, "--images", *decoded, "--prompts", world.table, "--device", "cpu"]
        arguments += ["--reward", rewards[name].model_dump_json(), "--out", tmp_path / f"{name}.parquet"]
        script("label_pairs", *arguments)
        tables[name] = read_table(tmp_path / f"{name}.parquet")
    assert [sha256(file) for file in files] == before and sorted(made.parent.rglob("*.*")) == files
    assert list(tables["hps"].columns) == ["prompt_id", "score_0", "score_1", "winner", "loser", "gap", "tie"]
    assert list(tables["hps"]["prompt_id"]) == PairSet.open(made).prompt_ids
    assert not np.allclose(tables["hps"]["gap"], tables["pickscore"]["gap"])


def test_a_prompt_without_text_is_named(world, made, decoded, rewards):
    with pytest.raises(UserError, match=f"no prompt {prompt_id('a photo of a ring')}"):
        score_samples(images_of(made, decoded), world.prompts[1:], load_reward(rewards["hps"]))


def test_a_reward_that_is_not_finite_is_refused(world, made, decoded, rewards, tmp_path):
    state = torch.load(rewards["hps"].checkpoint)["state_dict"]
    state["text_projection"].fill_(torch.nan)
    torch.save({"state_dict": state}, tmp_path / "broken.pt")
    scorer = load_reward(rewards["hps"].model_copy(update={"checkpoint": str(tmp_path / "broken.pt")}))
    told = rf"^the reward hps gave .* not finite to prompt {prompt_id('a photo of a ring')} \('a photo of a ring'\)$"
    with pytest.raises(UserError, match=told):
        score_samples(images_of(made, decoded), world.prompts, scorer, reward="hps")
