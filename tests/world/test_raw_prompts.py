"""The planted source table and the test lists."""

import json

import pytest

from pnapo.artifacts import prompt_id
from pnapo.config.schema import Source
from pnapo.errors import UserError
from pnapo.world.captions import scene_from_json
from pnapo.world.raw_prompts import write_raw
from pnapo.world.scenes import split_of
from pnapo.world.testsets import write_list


def test_the_source_has_diffusiondbs_columns_and_a_truth_for_each_row():
    source, truth = write_raw(Source(rows=600, seed=3))
    columns = "image_name prompt part_id seed step cfg sampler width height user_name timestamp image_nsfw prompt_nsfw"
    assert list(source.columns) == columns.split()
    assert list(truth["prompt_id"]) == [prompt_id(p) for p in source["prompt"]]
    assert source["prompt"].is_unique
    assert truth["unsafe"].sum() == 60
    assert (truth["near_of"] != "").sum() == 84
    assert (truth["semantic_of"] != "").sum() == 60
    ids = set(truth["prompt_id"])
    assert set(truth["near_of"]) | set(truth["semantic_of"]) <= ids | {""}


def test_the_source_depends_on_nothing_but_its_seed():
    first, again, other = (write_raw(Source(rows=200, seed=s))[0] for s in (1, 1, 2))
    assert first.equals(again)
    assert not first["prompt"].equals(other["prompt"])


def test_more_rows_than_the_grammar_has_are_refused_with_the_most_it_has():
    with pytest.raises(UserError, match=r"prompts\.source\.rows: .* enough for (\d+) rows") as refused:
        write_raw(Source(rows=9000))
    most = int(str(refused.value).split("enough for ")[1].split()[0])
    assert len(write_raw(Source(rows=most))[0]) == most


@pytest.mark.parametrize(("kind", "count"), [("heldout", 480), ("freeform", 240), ("geneval", 144)])
def test_test_lists_hold_only_test_scenes(kind, count):
    table = write_list(kind, None if kind == "geneval" else count)
    assert len(table) == count
    assert table["prompt_id"].is_unique
    assert {split_of(scene_from_json(text)) for text in table["scene"]} == {"test"}
    if kind == "geneval":
        tags = table["geneval"].map(lambda text: json.loads(text)["tag"])
        assert set(tags.value_counts()) == {24}
