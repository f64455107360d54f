"""Clusters, proportional resampling, and the funnel."""

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import write_table
from pnapo.config.schema import Clusters, Selection
from pnapo.errors import UserError
from pnapo.prompts.clusters import cluster
from pnapo.prompts.funnel import funnel
from pnapo.prompts.selection import select, shares


def test_clusters_are_found_again():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=200)
    vectors = np.eye(8)[labels] + 0.05 * rng.normal(size=(200, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = cluster(vectors, Clusters(count=2))
    assert len(set(zip(labels, found))) == 2
    assert np.array_equal(found, cluster(vectors, Clusters(count=2)))


def test_fewer_prompts_than_clusters_is_refused():
    with pytest.raises(UserError, match="8 clusters need as many different prompts, only 3 are left"):
        cluster(np.repeat(np.eye(3, dtype=np.float32), 4, 0), Clusters(count=8))


def test_shares_by_hand():
    # 10 of sizes 5, 3, 2 are 5, 3, 2; 4 of them are 2.0, 1.2, 0.8: the largest remainder is the last
    assert list(shares(np.array([5, 3, 2]), 10)) == [5, 3, 2]
    assert list(shares(np.array([5, 3, 2]), 4)) == [2, 1, 1]
    assert list(shares(np.array([1, 1, 1]), 2)) == [1, 1, 0]  # a tie: the first clusters win
    assert list(shares(np.array([97, 1, 1, 1]), 3)) == [3, 0, 0, 0]


def test_shares_add_up_and_no_cluster_gives_more_than_it_has():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = rng.integers(1, 50, rng.integers(1, 30))
        count = int(rng.integers(1, sizes.sum() + 1))
        found = shares(sizes, count)
        assert found.sum() == count and (found <= sizes).all()
        assert (np.abs(found - sizes * count / sizes.sum()) < 1).all()


def test_selection_does_not_depend_on_the_order():
    table = pd.DataFrame({"prompt_id": [f"{i:04x}" for i in range(60)], "prompt": "p", "cluster": np.arange(60) % 3})
    chosen = select(table, Selection(count=30))
    assert chosen["cluster"].value_counts().tolist() == [10, 10, 10]
    shuffled = select(table.sample(frac=1, random_state=0), Selection(count=30))
    assert set(shuffled["prompt_id"]) == set(chosen["prompt_id"])
    assert list(chosen["prompt_id"]) == sorted(chosen["prompt_id"])  # in the table's order
    assert set(select(table, Selection(count=30, seed=1))["prompt_id"]) != set(chosen["prompt_id"])
    with pytest.raises(UserError, match="61 prompts are asked for, only 60 are left"):
        select(table, Selection(count=61))


def test_the_funnel_by_hand(tmp_path):
    ids = list("abcdefghij")
    truth = pd.DataFrame({"prompt_id": ids, "unsafe": [True, True] + [False] * 8, "near_of": "", "semantic_of": ""})
    truth.loc[[3, 4], "near_of"] = "c"  # c, d, e repeat one another
    truth.loc[6, "semantic_of"] = "f"  # g says what f says
    write_table(tmp_path / "truth.parquet", truth)
    left = {"all": ids, "safe": list("bcdefghi"), "unique": list("bcefgi"), "distinct": list("bcegi")}
    left["selected"] = list("bce")
    for name, kept in left.items():
        write_table(tmp_path / f"{name}.parquet", pd.DataFrame({"prompt_id": kept}))
    for name, gone in {"safe": "aj", "unique": "dh", "distinct": "f"}.items():
        write_table(tmp_path / f"{name}.removed.parquet", pd.DataFrame({"prompt_id": list(gone)}))
    table = funnel(tmp_path, tmp_path / "truth.parquet").set_index("step")
    safety = table.loc["without unsafe prompts"]
    assert (safety["recall"], safety["false_positive_rate"], safety["precision"]) == (0.5, 1 / 8, 0.5)
    near = table.loc["without near-duplicates"]  # of c, d, e two had to go: d went; h should have stayed
    assert (near["precision"], near["recall"]) == (0.5, 0.5)
    semantic = table.loc["without semantic duplicates"]  # f/g: one went; c/e: none did
    assert (semantic["precision"], semantic["recall"]) == (1.0, 0.5)
    assert list(table["kept"]) == [10, 8, 6, 5, 3]
    assert list(table["share_kept"]) == pytest.approx([1, 0.8, 6 / 8, 5 / 6, 3 / 5])
    assert funnel(tmp_path)["precision"].isna().all()
    write_table(tmp_path / "truth.parquet", truth.drop(columns="near_of"))
    with pytest.raises(UserError, match="no column 'near_of'"):
        funnel(tmp_path, tmp_path / "truth.parquet")


def test_removing_a_whole_group_is_one_too_many(tmp_path):
    truth = pd.DataFrame({"prompt_id": list("abcd"), "unsafe": False, "near_of": ["", "a", "a", ""], "semantic_of": ""})
    write_table(tmp_path / "truth.parquet", truth)
    left = {"all": "abcd", "safe": "abcd", "unique": "d", "distinct": "d", "selected": "d"}
    for name, kept in left.items():
        write_table(tmp_path / f"{name}.parquet", pd.DataFrame({"prompt_id": list(kept)}))
    for name, gone in {"safe": "", "unique": "abc", "distinct": ""}.items():
        ids = pd.Series(list(gone), dtype="str")
        write_table(tmp_path / f"{name}.removed.parquet", pd.DataFrame({"prompt_id": ids}))
    table = funnel(tmp_path, tmp_path / "truth.parquet").set_index("step")
    near = table.loc["without near-duplicates"]
    assert (near["precision"], near["recall"]) == (2 / 3, 1.0)
    nothing = table.loc["without unsafe prompts"]  # none is unsafe and none went: only the false positives are defined
    assert nothing[["precision", "recall"]].isna().all() and nothing["false_positive_rate"] == 0
