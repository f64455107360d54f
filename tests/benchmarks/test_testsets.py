"""Test prompts from files: plain lists, and GenEval's metadata verbatim."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pnapo.artifacts import prompt_id, read_table
from pnapo.benchmarks.testsets import read_testset
from pnapo.errors import UserError

ENTRY = {"tag": "colors", "include": [{"class": "ring", "count": 1, "color": "red"}], "prompt": "a photo of a red ring"}
OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "geneval_metadata.jsonl"


def test_a_plain_list_has_no_metadata(tmp_path):
    (tmp_path / "list.txt").write_text("two stars\n\na ring\ntwo stars\nnaïve 😀\n", "utf-8")
    table = read_testset(tmp_path / "list.txt")
    assert list(table.columns) == ["prompt_id", "prompt", "geneval", "scene", "category"]
    assert table["prompt"].tolist() == ["two stars", "a ring", "naïve 😀"]
    assert table["prompt_id"].tolist() == [prompt_id(text) for text in table["prompt"]]
    assert set(table["geneval"]) == set(table["scene"]) == set(table["category"]) == {""}
    assert read_testset(tmp_path / "list.txt", count=2)["prompt"].tolist() == ["two stars", "a ring"]


def test_hpdv2s_four_lists_are_one_with_their_names_as_categories(tmp_path):
    names = ["anime", "concept-art", "paintings", "photo"]  # each a list of strings, as the repository has them
    for number, name in enumerate(names):
        prompts = [f"{name} {k}" for k in range(number, 4)] + ["in all of them"]
        (tmp_path / f"{name}.json").write_text(json.dumps(prompts))
    table = read_testset([str(tmp_path / f"{name}.json") for name in names])
    assert table["prompt"].tolist()[:6] == [*(f"anime {k}" for k in range(4)), "in all of them", "concept-art 1"]
    counts = {"anime": 5, "concept-art": 3, "paintings": 2, "photo": 1}  # what is in two belongs to the first
    assert table["category"].value_counts().to_dict() == counts and table["prompt_id"].is_unique
    assert read_testset([str(tmp_path / "photo.json"), str(tmp_path / "anime.json")], count=3)["category"].tolist() == [
        *["photo"] * 2,
        "anime",
    ]


def test_partiprompts_table(tmp_path):
    rows = [
        ("Prompt", "Category", "Challenge", "Note"),
        ("bond", "Abstract", "Basic", "Biology-inspired concepts with multiple meanings"),
        ('"G I G G L E" painted in thick colorful lettering', "Illustrations", "Writing & Symbols", ""),
        ("Dogs playing poker", "Animals", "Imagination", 'Description of "Dogs Playing Poker"'),
    ]
    (tmp_path / "PartiPrompts.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    table = read_testset(tmp_path / "PartiPrompts.tsv", "Prompt", category="Category")
    assert list(zip(table["prompt"], table["category"])) == [row[:2] for row in rows[1:]]


def test_open_image_preferences_files_with_the_column_that_is_asked_for(tmp_path):
    """Its schema: prompts of several kinds, categories, and the images, which are not read."""
    kinds = ("quality_prompt", "simplified_prompt", "style_prompt", "prompt")
    for part in range(2):
        columns = {kind: [f"{kind} {part} {row}" for row in range(3)] for kind in kinds}
        columns["simplified_prompt"][2] = "the same"
        images = {
            f"image_{kind}_{model}": [{"bytes": b"x", "path": "1.jpg"}] * 3
            for kind in ("quality",)
            for model in ("dev", "sd")
        }
        beside = {
            "category": ["Anime", "Neonpunk", None],
            "sub_category": "",
            "grouped_model_name": [["dev", "sd"]] * 3,
        }
        pd.DataFrame({**columns, **beside, **images}).to_parquet(tmp_path / f"cleaned-0000{part}-of-00002.parquet")
    for kind, count in (("quality_prompt", 6), ("simplified_prompt", 5), ("prompt", 6)):
        table = read_testset(tmp_path, kind, category="category")
        assert len(table) == count and table["category"].tolist()[:3] == ["Anime", "Neonpunk", ""]
        assert table["prompt"][0] == f"{kind} 0 0"


def test_pick_a_pics_captions(tmp_path):
    """The schema of its files without images; a caption has many rows."""
    table = pd.DataFrame({"caption": ["a", "b", "a"], "label_0": [1.0, 0.5, 0.0], "label_1": [0.0, 0.5, 1.0]})
    table["has_label"], table["are_different"] = True, True
    table.to_parquet(tmp_path / "validation_unique-00000-of-00001-c2396290184ff49d.parquet")
    pd.DataFrame({"caption": ["c"]}).to_parquet(tmp_path / "train-00000-of-00001.parquet")
    assert read_testset(str(tmp_path / "validation_unique-*.parquet"), "caption")["prompt"].tolist() == ["a", "b"]


def test_genevals_metadata_stay_with_their_prompt(tmp_path):
    odd = ENTRY | {"prompt": "a line\u2028separator and a <b>tag</b>"}
    other = {"prompt": "no metadata"}
    lines = [json.dumps(value, ensure_ascii=False) for value in (other, odd, ENTRY, odd)]
    (tmp_path / "meta.JSONL").write_text("\n\n".join(lines) + "\n", "utf-8")
    table = read_testset(tmp_path / "meta.JSONL")
    assert table["prompt"].tolist() == ["no metadata", odd["prompt"], ENTRY["prompt"]]
    assert [json.loads(text) if text else None for text in table["geneval"]] == [None, odd, ENTRY]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(tmp_path, end):
    (tmp_path / "meta.jsonl").write_text(json.dumps(ENTRY) + end + json.dumps(ENTRY | {"prompt": "y"}), newline="")
    table = read_testset(tmp_path / "meta.jsonl")
    assert [json.loads(text)["prompt"] for text in table["geneval"]] == [ENTRY["prompt"], "y"]


def test_the_official_list_is_read_whole(tmp_path):
    """The list itself where it lies beside the checkout, else one written in its form."""
    if OFFICIAL.exists():
        path = OFFICIAL
    else:
        path = tmp_path / "geneval.jsonl"
        path.write_text("".join(json.dumps(ENTRY | {"prompt": f"a photo of {k}"}) + "\n" for k in range(553)))
    table = read_testset(path)
    assert len(table) == 553 and all(json.loads(e)["prompt"] == p for e, p in zip(table["geneval"], table["prompt"]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": \n', "line 2 is not valid JSON"),
        ("a.jsonl", '{"text": "x"}\n', "has no key 'prompt'"),
        (
            "a.jsonl",
            '\n{"tag": "colors", "prompt": "x", "include": [{}]}',
            r"line 2 is not an .* include\[0\] names no class",
        ),
        ("a.csv", "text\nx\n", "no column 'prompt'"),
        ("a.txt", "\n \n", "holds no prompts"),
        ("a.parquet", "not parquet", "not a readable parquet file"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_testset(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_the_script_writes_lists_of_files_and_of_the_world(script, tmp_path):
    (tmp_path / "list.jsonl").write_text(json.dumps(ENTRY) + "\n")
    for settings in ({"path": str(tmp_path / "list.jsonl")}, {"source": "geneval", "count": 3}):
        script("write_testset", "--settings", json.dumps(settings), "--out", tmp_path / "out.parquet")
        table = read_table(tmp_path / "out.parquet", ["prompt_id", "prompt", "geneval", "scene"])
        assert json.loads(table["geneval"][0])["prompt"] == table["prompt"][0]
        assert bool(table["scene"][0]) == ("source" in settings)
    assert len(table) == 3
