"""Near-duplicates and semantic duplicates, against brute force."""

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import prompt_id
from pnapo.config.schema import NearDuplicates, Semantic
from pnapo.errors import UserError
from pnapo.prompts import near_duplicates, semantic
from pnapo.prompts.near_duplicates import duplicates, remove_near_duplicates
from pnapo.prompts.semantic import remove_semantic_duplicates
from pnapo.prompts.shingles import jaccard, shingle_sets, shingles
from pnapo.world.raw_prompts import near_duplicate


def table(texts):
    return pd.DataFrame({"prompt_id": [prompt_id(t) for t in texts], "prompt": texts})


def greedy(similarity, threshold):
    """The rule by brute force: the earliest stays, each row compared with those that stay."""
    kept = []
    for row in range(len(similarity)):
        if not any(similarity[row, other] >= threshold for other in kept):
            kept.append(row)
    return kept


def test_jaccard_by_hand():
    a, b = shingles("A red ring, on black!", 2), shingles("a red ring on gray", 2)
    assert a == {"a red", "red ring", "ring on", "on black"}
    assert jaccard(a, b) == 3 / 5
    assert shingles("Ring!", 2) == {"ring"} and shingles("🎈🎈", 2) == {"🎈🎈"}
    assert shingles("ﬁne Café", 1) == {"fine", "café"}


@pytest.fixture(scope="module")
def prompts():
    rng = np.random.default_rng(0)
    vocabulary = [f"word{i}" for i in range(60)]
    texts = [", ".join(" ".join(rng.choice(vocabulary, 5)) for _ in range(3)) for _ in range(200)]
    texts += [near_duplicate(str(rng.choice(texts)), rng) for _ in range(100)]
    texts += [" ".join(text.split()[:-2]) for text in rng.choice(texts, 60)]
    return list(dict.fromkeys(str(t) for t in rng.permutation(texts)))


def test_near_duplicates_equal_brute_force(prompts):
    settings = NearDuplicates(threshold=0.8)
    kept, removed = remove_near_duplicates(table(prompts), settings)
    sets = [shingles(text, settings.ngram) for text in prompts]
    exact = np.array([[jaccard(a, b) for b in sets] for a in sets])
    assert list(kept["prompt"]) == [prompts[i] for i in greedy(exact, 0.8)]
    assert len(removed) > 50
    texts = dict(zip(map(prompt_id, prompts), prompts))
    for row in removed.itertuples():
        assert row.score == jaccard(shingles(row.prompt, 2), shingles(texts[row.kept_id], 2)) >= 0.8
        assert row.kept_id in set(kept["prompt_id"])


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("ngram", [1, 3])
def test_every_partner_is_the_most_similar_that_stays(prompts, threshold, ngram):
    sets = [shingles(text, ngram) for text in prompts]
    exact = np.array([[jaccard(a, b) for b in sets] for a in sets])
    kept = greedy(exact, threshold)
    partner, score = duplicates(shingle_sets(prompts, ngram), threshold)
    for row, items in enumerate(sets):
        first = sets.index(items)  # a repeat shares the fate of its first appearance
        before = [other for other in kept if other < first and exact[first, other] >= threshold]
        best = max(before, key=lambda other: (exact[first, other], -other), default=-1)
        expected = (best, exact[first, best]) if before else (first, 1) if first < row else (-1, 0)
        assert (partner[row], score[row]) == expected


def test_blocks_and_limits_change_nothing(prompts, monkeypatch):
    sets = shingle_sets(prompts, 2)
    whole = duplicates(sets, 0.7)
    for block, limit in ((1, 1), (7, 10), (64, 100)):
        monkeypatch.setattr(near_duplicates, "BLOCK", block)
        monkeypatch.setattr(near_duplicates, "LIMIT", limit)
        for one, other in zip(whole, duplicates(sets, 0.7)):
            np.testing.assert_array_equal(one, other)


def test_what_many_prompts_share_does_not_make_them_candidates():
    """Boilerplate: prompts that share nothing but a long ending are hardly ever looked at together."""

    class Counting(near_duplicates._Search):
        looked = 0

        def _bounded(self, row, *others):
            self.looked += len(row)
            return super()._bounded(row, *others)

    rng = np.random.default_rng(0)
    ending = "trending on artstation highly detailed digital painting sharp focus by greg rutkowski"
    texts = [" ".join(f"word{w}" for w in rng.integers(10**6, size=6)) + " " + ending for _ in range(3000)]
    search = Counting(shingle_sets(texts, 2), np.arange(3000), 0.8)
    search.block(0, 1500)
    search.block(1500, 3000)
    assert search.looked < 100 and (search.partner < 0).all()  # of 4.5 million pairs


def test_the_earliest_stays_and_what_went_removes_nothing():
    # Of six words (five shingles) each text shares four with its neighbour: Jaccard 4/6; two steps apart it is 3/7.
    texts = ["a b c d e f", "b c d e f g", "c d e f g h", "A, B! c d e f", "x y", "X (y)", "y x"]
    kept, removed = remove_near_duplicates(table(texts), NearDuplicates(threshold=0.6))
    assert list(kept["prompt"]) == ["a b c d e f", "c d e f g h", "x y", "y x"]
    whom = dict(zip(removed["prompt"], zip(removed["kept_id"], removed["score"])))
    assert whom["b c d e f g"] == (prompt_id(texts[0]), 4 / 6)  # as near to the later one: the earlier counts
    assert whom["A, B! c d e f"] == (prompt_id(texts[0]), 1.0)
    assert whom["X (y)"] == (prompt_id("x y"), 1.0)


def test_a_filter_that_removes_nothing_writes_the_same_kinds_of_columns():
    some = remove_near_duplicates(table(["a ring", "A ring"]), NearDuplicates())[1]
    none = remove_near_duplicates(table(["a ring", "a cross"]), NearDuplicates())[1]
    assert len(none) == 0 and none.dtypes.equals(some.dtypes)


def test_semantic_duplicates_equal_brute_force(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 16))
    vectors = centres[rng.integers(40, size=200)] + 0.15 * rng.normal(size=(200, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    texts = table([f"prompt {i}" for i in range(200)])
    monkeypatch.setattr(semantic, "embed_texts", lambda *_: np.array_split(vectors, 3))
    out = tmp_path / "new" / "embeddings.safetensors"
    kept, removed = remove_semantic_duplicates(texts, Semantic(clip="x", threshold=0.9), "cpu", out)
    assert list(out.parent.iterdir()) == [out]
    left = semantic.read_embeddings(out)
    expected = greedy(vectors @ vectors.T, 0.9)
    assert list(kept["prompt_id"]) == list(texts["prompt_id"].iloc[expected])
    assert np.array_equal(left, vectors[expected]) and len(removed) == 200 - len(expected) > 50
    row = {name: i for i, name in enumerate(texts["prompt_id"])}
    for gone in removed.itertuples():
        earlier = [i for i in expected if i < row[gone.prompt_id]]
        best = max(earlier, key=lambda i: vectors[i] @ vectors[row[gone.prompt_id]])
        assert row[gone.kept_id] == best and gone.score == pytest.approx(vectors[best] @ vectors[row[gone.prompt_id]])


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 0.97])
def test_blocks_and_cells_change_nothing(monkeypatch, threshold):
    rng = np.random.default_rng(2)
    vectors = np.repeat(rng.normal(size=(100, 8)), 6, 0) + 0.2 * rng.normal(size=(600, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)[rng.permutation(600)]
    whole = semantic.duplicates(vectors, threshold)
    kept = greedy((vectors.astype(np.float64) @ vectors.T), threshold)
    assert np.flatnonzero(whole[0] < 0).tolist() == kept and len(kept) < 500
    for block, cell in ((7, 600), (64, 10), (600, 40)):
        monkeypatch.setattr(semantic, "BLOCK", block)
        monkeypatch.setattr(semantic, "CELL", cell)
        for one, other in zip(whole, semantic.duplicates(vectors, threshold)):
            np.testing.assert_array_equal(one, other)


def test_an_embedding_that_is_not_finite_is_refused():
    vectors = np.eye(4, dtype=np.float32)
    vectors[2, 1] = np.nan
    with pytest.raises(UserError, match="not finite"):
        semantic.duplicates(vectors, 0.9)
