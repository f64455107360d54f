"""A long list's distinct prompts, part by part: those, and in that order, that reading it at once gives."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pnapo.artifacts import read_table
from pnapo.config.schema import Safety
from pnapo.errors import UserError
from pnapo.prompts import distinct, sources
from pnapo.prompts.distinct import write_distinct
from pnapo.prompts.funnel import funnel
from pnapo.prompts.safety import remove_unsafe
from pnapo.prompts.sources import load_prompts

SHARED = Path(__file__).parents[3] / "shared" / "data" / "pickapic_prompts.txt"
NASTY = [
    "two\nlines",
    "emoji 👩‍🎨🎈",
    "\x00 control",
    " spaces kept ",
    "x" * 100_000,
    "\u2003",
    "",
    "  ",
    "\x1f \t",
    None,
]


def metadata(prompts: list, nsfw: list) -> pd.DataFrame:
    """A table with the columns and types of DiffusionDB's metadata."""
    n = len(prompts)
    numbers = {"part_id": "uint16", "seed": "uint32", "step": "uint16", "cfg": "float32", "sampler": "uint8"}
    sizes = {"width": "uint16", "height": "uint16"}
    return pd.DataFrame(
        {
            "image_name": [f"{row}.webp" for row in range(n)],
            "prompt": prompts,
            **{name: np.arange(n).astype(kind) for name, kind in (numbers | sizes).items()},
            "user_name": "deleted_account",
            "timestamp": pd.Timestamp("2022-08-08T00:00:00Z"),
            "image_nsfw": np.float32(2.0),
            "prompt_nsfw": np.array(nsfw, np.float32),
        }
    )


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A list of 5000 rows of some 500 prompts, written whole and read 97 rows at a time, and its table."""
    monkeypatch.setattr(sources, "ROWS", 97)
    monkeypatch.setattr(distinct, "ROWS", 97)
    rng = np.random.default_rng(0)
    words = [f"prompt {rng.integers(10**9)}" for _ in range(500)] + NASTY
    rows = [words[index] for index in rng.integers(0, len(words), 5000) ** 2 // len(words)]
    table = metadata(rows, [float(hash(text) % 997) / 997 for text in rows])
    table.to_parquet(tmp_path / "metadata-large.parquet", row_group_size=5000)
    return tmp_path / "metadata-large.parquet", table


def test_it_gives_what_reading_at_once_gives(written, tmp_path):
    path, table = written
    lines = []
    write_distinct(path, tmp_path / "all.parquet", "prompt", "prompt_nsfw", lines.append)
    found = read_table(tmp_path / "all.parquet")
    pd.testing.assert_frame_equal(found[["prompt_id", "prompt"]], load_prompts(path))
    by_prompt = table.groupby("prompt", sort=False)
    assert list(found["rows"]) == [len(by_prompt.get_group(text)) for text in found["prompt"]]
    assert np.array_equal(found["score"], by_prompt["prompt_nsfw"].max()[found["prompt"]])
    told = f"prompts: 5000 rows, {found['rows'].sum()} with a text, {len(found)} distinct"
    assert lines[-1] == told and [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    before = (tmp_path / "all.parquet").read_bytes()
    write_distinct(path, tmp_path / "all.parquet", "prompt", "prompt_nsfw", lines.append)
    assert (tmp_path / "all.parquet").read_bytes() == before


@pytest.mark.parametrize("rows", [2, 5])  # in several parts, or in one
def test_of_several_scores_the_largest_counts_and_none_is_none(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(sources, "ROWS", rows)
    metadata(["a", "b", "a", "c", "b"], [0.75, np.nan, 0.25, np.nan, 0.5]).to_parquet(tmp_path / "a.parquet")
    lines = []
    write_distinct(tmp_path / "a.parquet", tmp_path / "all.parquet", score="prompt_nsfw", log=lines.append)
    found = read_table(tmp_path / "all.parquet")
    assert list(found["prompt"]) == ["a", "b", "c"] and list(found["rows"]) == [2, 2, 1]
    assert found["score"].tolist()[:2] == [0.75, 0.5] and np.isnan(found["score"][2])
    assert lines[-1].endswith("3 distinct, 1 of them without a prompt_nsfw")


def test_other_lists_go_the_same_way(tmp_path):
    (tmp_path / "a.csv").write_text("prompt,unsafe\na,0.1\nb,\na,0.3\n")
    write_distinct(tmp_path / "a.csv", tmp_path / "all.parquet", score="unsafe", log=lambda line: None)
    found = read_table(tmp_path / "all.parquet")
    assert found["score"].tolist()[0] == np.float32(0.3) and list(found["rows"]) == [2, 1]
    write_distinct(tmp_path / "a.csv", tmp_path / "all.parquet", log=lambda line: None)
    assert list(read_table(tmp_path / "all.parquet").columns) == ["prompt_id", "prompt", "rows"]
    (tmp_path / "a.txt").write_text("one\n")
    with pytest.raises(UserError, match=r"a\.txt: a plain text holds prompts alone, no column 'unsafe'"):
        write_distinct(tmp_path / "a.txt", tmp_path / "all.parquet", score="unsafe")


def test_what_is_wrong_with_a_long_list_is_named_and_leaves_nothing(tmp_path):
    metadata(["", None], [0, 0]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: holds no prompts \(2 rows, none with a text\)"):
        write_distinct(tmp_path / "a.parquet", tmp_path / "all.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: no column 'nsfw'; it has 'image_name', 'prompt'"):
        write_distinct(tmp_path / "a.parquet", tmp_path / "all.parquet", score="nsfw")
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": broken}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: not a readable parquet file"):
        write_distinct(tmp_path / "a.parquet", tmp_path / "all.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


def test_diffusiondbs_scores_take_the_place_of_a_model(script, tmp_path):
    """From a table in its schema to the funnel, with the scripts of the rules, keeping the paper's share."""
    rng = np.random.default_rng(1)
    scores = rng.random(1000)
    rows = np.repeat(np.arange(1000), 3)
    rng.shuffle(rows)
    metadata([f"prompt {row}" for row in rows], scores[rows]).to_parquet(tmp_path / "metadata-large.parquet")
    source = f'{{"path": "{tmp_path}/metadata-large.parquet"}}'
    script("read_source", "--settings", source, "--score", "prompt_nsfw", "--out", tmp_path / "all.parquet")
    settings = Safety(kind="column", column="prompt_nsfw", keep=0.8367).model_dump_json()
    files = {"prompts": "all", "removed": "safe.removed", "out": "safe"}
    paths = [part for option, name in files.items() for part in (f"--{option}", tmp_path / f"{name}.parquet")]
    script("filter_unsafe", "--settings", settings, *paths)
    kept, removed = (read_table(tmp_path / f"{name}.parquet") for name in ("safe", "safe.removed"))
    assert len(kept) == 837 and len(removed) == 163  # round(0.8367 · 1000)
    assert kept["toxicity"].max() < removed["score"].min() == removed["threshold"][0]
    for name in ("unique", "distinct", "selected"):
        kept.to_parquet(tmp_path / f"{name}.parquet")
        removed[:0].to_parquet(tmp_path / f"{name}.removed.parquet")
    table = funnel(tmp_path)
    assert list(table["step"][:3]) == ["raw prompts", "without exact repeats", "without unsafe prompts"]
    assert table[["kept", "removed"]][:3].to_numpy().tolist() == [[3000, 0], [1000, 2000], [837, 163]]
    assert table["threshold"][2] == pytest.approx(np.sort(scores)[837]) and table["threshold"].notna().sum() == 1


@pytest.mark.skipif(not SHARED.exists(), reason="no shared/data beside the checkout")
def test_pick_a_pics_prompts(tmp_path):
    write_distinct(SHARED, tmp_path / "all.parquet", log=lambda line: None)
    found, lines = read_table(tmp_path / "all.parquet"), SHARED.read_text("utf-8").split("\n")
    assert list(found["prompt"]) == list(dict.fromkeys(line for line in lines if line.strip()))
    assert found["rows"].sum() == sum(bool(line.strip()) for line in lines)
    scores = np.linspace(0, 1, len(found)).astype(np.float32)
    kept, _ = remove_unsafe(
        found.assign(score=scores), Safety(kind="column", column="s", keep=0.5), "cpu", lambda line: None
    )
    assert len(kept) == round(0.5 * len(found))
