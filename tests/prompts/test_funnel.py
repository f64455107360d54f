"""The funnel where the truth is known in part, or wrong; its figures by hand are in test_resampling.py."""

import pandas as pd
import pytest

from pnapo.artifacts import write_table
from pnapo.errors import UserError
from pnapo.prompts.funnel import funnel

IDS = list("abcdefgh")


@pytest.fixture
def folder(tmp_path):
    """Eight prompts: `a` and `b` go as unsafe, `d` and `e` as near-duplicates, `g` as a semantic one; `h` is not drawn."""

    def write(name, ids):
        write_table(tmp_path / f"{name}.parquet", pd.DataFrame({"prompt_id": list(ids)}).astype({"prompt_id": "str"}))

    for name, kept, removed in (("safe", "cdefgh", "ab"), ("unique", "cfgh", "de"), ("distinct", "cfh", "g")):
        write(name, kept)
        write(f"{name}.removed", removed)
    write("all", IDS)
    write("selected", "cf")
    return tmp_path


def truth(folder, ids=IDS, **changed):
    """`a` and `c` are unsafe; d–c and e–f are near, g–f is semantic."""
    links = {"near_of": {"d": "c", "e": "f"}, "semantic_of": {"g": "f"}} | changed
    columns = {name: [links[name].get(i, "") for i in ids] for name in ("near_of", "semantic_of")}
    write_table(
        folder / "truth.parquet", pd.DataFrame({"prompt_id": ids, "unsafe": [i in "ac" for i in ids], **columns})
    )
    return folder / "truth.parquet"


def test_prompts_of_unknown_truth_do_not_count(folder):
    found = funnel(folder, truth(folder, ids=list("acdf"))).set_index("step")
    safe, unique = found.iloc[1], found.iloc[2]
    assert (safe["precision"], safe["recall"], safe["false_positive_rate"]) == (1, 1 / 2, 0)
    assert (unique["precision"], unique["recall"]) == (1, 1)  # of `d` alone


def test_a_link_to_nowhere_is_named(folder):
    with pytest.raises(UserError, match="near_of of prompt d names z"):
        funnel(folder, truth(folder, near_of={"d": "z"}))


def test_repeats_and_the_threshold_are_told_where_they_are_known(folder):
    table = funnel(folder)
    assert list(table["step"][:2]) == ["raw prompts", "without unsafe prompts"] and table["threshold"].isna().all()
    write_table(folder / "all.parquet", pd.DataFrame({"prompt_id": IDS, "rows": [1, 2, 3, 1, 1, 1, 1, 4]}))
    write_table(folder / "safe.removed.parquet", pd.DataFrame({"prompt_id": list("ab"), "threshold": [0.25, 0.25]}))
    table = funnel(folder)
    assert table[["step", "kept", "removed"]][:3].to_numpy().tolist() == [
        ["raw prompts", 14, 0],
        ["without exact repeats", 8, 6],
        ["without unsafe prompts", 6, 2],
    ]
    assert table["threshold"][2] == 0.25
