"""Detoxify itself filters; a checkpoint with code in it is not run."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from pnapo.artifacts import prompt_id
from pnapo.config.schema import Safety
from pnapo.errors import UserError
from pnapo.prompts.safety import load_detoxify, remove_unsafe, toxicity

PROMPTS = ["a red ring", "naked", "", "naked " * 50, "a ring and a red ring", "😀"]
CLASSES = ["toxic", "sexual_explicit", "insult"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A checkpoint in Detoxify's format that calls a prompt toxic by the share of the word "naked" in it.

    Like the multilingual one it has more outputs than named classes, and a base configuration that says nothing of either.
    """
    folder = tmp_path_factory.mktemp("detoxify")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ring", "and", "naked"]
    BertTokenizer(vocab={w: i for i, w in enumerate(words)}, model_max_length=16).save_pretrained(folder)
    config = BertConfig(
        vocab_size=10,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    config.save_pretrained(folder)
    assert "id2label" not in (folder / "config.json").read_text()
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).train()
    tokenizer = BertTokenizer.from_pretrained(folder)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch = tokenizer(PROMPTS, return_tensors="pt", padding=True, truncation=True)
    target = torch.tensor([[float("naked" in p), 0.0] for p in PROMPTS])
    for _ in range(80):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(**batch).logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = model.state_dict()
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = torch.cat([state[name], torch.zeros(3, *state[name].shape[1:])])
    architecture = {
        "num_classes": 5,
        "model_type": "no-such-model",
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    content = {
        "config": {"arch": {"args": architecture}, "dataset": {"args": {"classes": CLASSES}}},
        "state_dict": state,
    }
    torch.save(content, folder / "toxic.ckpt")
    return Safety(checkpoint=str(folder / "toxic.ckpt"), config_path=str(folder), batch=2)


def test_scores_are_detoxifys_and_do_not_depend_on_batches(settings):
    scores = toxicity(PROMPTS, settings, "cpu")
    found = load_detoxify(settings, "cpu").predict(PROMPTS)
    expected = np.maximum(found["toxicity"], found["sexual_explicit"])
    assert np.allclose(scores, expected, atol=1e-5)
    assert np.allclose(toxicity(PROMPTS[::-1], settings, "cpu")[::-1], scores, atol=1e-5)
    assert np.allclose(toxicity(PROMPTS, settings.model_copy(update={"batch": 100}), "cpu"), scores, atol=1e-5)


def test_the_unsafe_go_with_their_score(settings):
    table = pd.DataFrame({"prompt_id": [prompt_id(p) for p in PROMPTS], "prompt": PROMPTS})
    kept, removed = remove_unsafe(table, settings, "cpu")
    assert list(removed["prompt"]) == ["naked", "naked " * 50]
    assert (removed["score"] >= 0.5).all() and (kept["toxicity"] < 0.5).all() and len(kept) == 4


def given(scores, **settings):
    """What stays and what goes of prompts that come with scores."""
    table = pd.DataFrame({"prompt_id": list("abcdefgh")[: len(scores)], "prompt": "x", "score": np.float32(scores)})
    return remove_unsafe(table, Safety(kind="column", column="s", **settings), "cpu", lambda line: None)


def test_scores_that_come_with_the_list_count_as_they_are():
    kept, removed = given([0.1, 0.5, 0.9, 0.49, np.nan], threshold=0.5)
    assert list(kept["prompt_id"]) == ["a", "d"] and list(removed["prompt_id"]) == ["b", "c", "e"]  # none is not safe
    assert list(kept.columns) == ["prompt_id", "prompt", "toxicity"] and set(removed["threshold"]) == {0.5}


@pytest.mark.parametrize(
    ("scores", "keep", "stay"),
    [
        ([0.4, 0.1, 0.3, 0.2], 0.5, "bd"),
        ([0.4, 0.1, 0.3, 0.2], 0.6, "bd"),  # round(2.4) of four
        ([0.4, 0.1, 0.3, 0.2], 0.63, "bcd"),  # round(2.52)
        ([0.4, 0.1, 0.2, 0.2], 0.5, "b"),  # 0.2 would have to go and to stay: it goes
        ([0.4, 0.1, np.nan, 0.2], 0.75, "abd"),
        ([0.4, 0.1, 0.3, 0.2], 1.0, "abcd"),
    ],
)
def test_the_share_that_stays_is_the_safest(scores, keep, stay):
    kept, removed = given(scores, keep=keep)
    assert "".join(kept["prompt_id"]) == stay and len(kept) + len(removed) == 4
    lowest = np.nanmin(removed["score"]) if removed["score"].notna().any() else np.inf
    assert set(removed["threshold"]) <= {lowest} and (kept["toxicity"] < lowest).all()


def test_ties_that_leave_nothing_are_an_error():
    with pytest.raises(UserError, match=r"prompts\.safety\.keep: every prompt reaches 0\.5"):
        given([0.5, 0.5, 0.5], keep=0.5)


def test_detoxifys_scores_can_be_cut_by_share_too(settings):
    table = pd.DataFrame({"prompt_id": list("abcdef"), "prompt": PROMPTS})
    kept, _ = remove_unsafe(table, settings.model_copy(update={"keep": 4 / 6}), "cpu", lambda line: None)
    assert "naked" not in list(kept["prompt"]) and len(kept) == 4


def test_an_unknown_label_is_named(settings):
    with pytest.raises(UserError, match="no class 'rudeness'; it has toxicity, sexual_explicit, insult"):
        load_detoxify(settings.model_copy(update={"labels": ["rudeness"]}), "cpu")


def test_nothing_left_is_an_error(settings):
    table = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": PROMPTS[:2]})
    with pytest.raises(UserError, match=r"prompts\.safety\.threshold: every prompt reaches 0.0"):
        remove_unsafe(table, settings.model_copy(update={"threshold": 0.0}), "cpu")


def without_classifier(content):
    del content["state_dict"]["classifier.weight"]


def without_classes(content):
    del content["config"]["dataset"]


def too_few_outputs(content):
    content["config"]["arch"]["args"]["num_classes"] = 2


def other_weights(content):
    content["state_dict"] = {"some.other.weight": torch.zeros(2)}


def other_sizes(content):
    content["state_dict"]["classifier.weight"] = torch.zeros(7, 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_classifier, "lacks 1 weights of its model, such as classifier.weight"),
        (other_weights, "lacks "),
        (other_sizes, "cannot be loaded"),
        (without_classes, "not a Detoxify checkpoint"),
        (too_few_outputs, "not a Detoxify checkpoint (num_classes is 2, "),
        (lambda content: content.pop("config"), "not a Detoxify checkpoint"),
    ],
)
def test_an_incomplete_checkpoint_is_not_filled_with_chance(settings, tmp_path, change, said):
    content = torch.load(settings.checkpoint, weights_only=True)
    change(content)
    torch.save(content, tmp_path / "toxic.ckpt")
    with pytest.raises(UserError) as found:
        load_detoxify(settings.model_copy(update={"checkpoint": str(tmp_path / "toxic.ckpt")}), "cpu")
    assert str(found.value).startswith(f"{tmp_path / 'toxic.ckpt'}: {said}") and "\n" not in str(found.value)


def test_a_missing_folder_is_not_looked_for_on_the_network(settings):
    with pytest.raises(UserError, match=r"^nowhere/config: no such folder$"):
        load_detoxify(settings.model_copy(update={"config_path": "nowhere/config"}), "cpu")


class Harm:
    def __reduce__(self):
        return (open, ("harmed", "w"))


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        saved({"config": {}, "state_dict": {}})[:200],
        pickle.dumps({"config": Harm(), "state_dict": {}}),
        saved({"config": Harm(), "state_dict": {}}),
    ],
    ids=["empty", "foreign", "truncated", "code", "code in torch's container"],
)
def test_a_foreign_checkpoint_is_refused_and_not_run(settings, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toxic.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"toxic\.ckpt"):
        load_detoxify(settings.model_copy(update={"checkpoint": "toxic.ckpt"}), "cpu")
    assert not (tmp_path / "harmed").exists()
