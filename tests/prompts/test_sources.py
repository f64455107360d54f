"""Prompt lists from files: texts verbatim, mistakes named."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pnapo.artifacts import prompt_id
from pnapo.errors import UserError
from pnapo.prompts.sources import load_prompts

NASTY = [
    "two\nlines",
    "carriage\rreturn",
    "control \x00 \x07 and \x0c form feed",
    "lines \u2028 of \x85 other \x0b kinds",
    " spaces kept ",
    'a "quoted", comma',
    "emoji 👩‍🎨🎈",
    "<script>alert('x')</script>",
    r"\textbf{$\alpha$} & 50 % #1_{}",
    "=HYPERLINK(1)",
    "x" * 10_000,
    "long " * 40_000,  # beyond csv's own limit for a field
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_nasty_prompts_survive(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    frame = pd.DataFrame({"prompt": [*NASTY, "", "  ", None, NASTY[0]]})
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".csv":
        frame.to_csv(path, index=False, lineterminator="\r\n")
    else:
        path.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in frame["prompt"]), "utf-8")
    table = load_prompts(path)
    assert list(table["prompt"]) == NASTY
    assert list(table["prompt_id"]) == [prompt_id(p) for p in NASTY]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"one\ntwo"), ("a.csv", b"prompt,n\none,1\ntwo,2"), ("a.jsonl", b'"one"\n{"prompt": "two", "n": 2}')],
)
def test_a_byte_order_mark_and_a_missing_last_line_end_change_nothing(tmp_path, name, content, mark):
    (tmp_path / name).write_bytes(mark + content)
    assert list(load_prompts(tmp_path / name)["prompt"]) == ["one", "two"]


def test_text_files_and_bare_json_strings(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\r\ntwo \x0c\none\n")
    assert list(load_prompts(tmp_path / "a.txt")["prompt"]) == ["one", "two \x0c"]
    (tmp_path / "a.jsonl").write_text('"one"\n\n"two"\n')
    assert list(load_prompts(tmp_path / "a.jsonl")["prompt"]) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "no such file"),
        ("a.doc", b"x", "unknown kind of prompt list"),
        ("a.txt", b"\n \n", "holds no prompts"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.csv", b"text,other\n1,2\n", "no column 'prompt'; it has 'text', 'other'"),
        ("a.jsonl", b'{"prompt": "x"}\n{"prompt": \n', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"text": "x"}\n', "line 1 has no key 'prompt'"),
        ("a.jsonl", b"[" * 100_000, "line 1 is not valid JSON"),
        ("a.jsonl", b'{"prompt": 5}\n', "holds no prompts"),
        ("a.jsonl", b'"one"\n{"prompt": "cut \\ud83d\\n"}\n', r"prompt 'cut \ud83d\n' holds half a character"),
        ("a.csv", b"", "no column 'prompt'; it has none"),
        ("a.csv", b'prompt\none\n"a prompt cut in two', "line 3 is not valid CSV"),
        ("a.csv", b'"prompt', "line 1 is not valid CSV"),
        ("a.parquet", b"PAR1 and nothing", "damaged or truncated"),
        ("a.tsv", b"Prompt\tNote\nx\ty\n", "no column 'prompt'; it has 'Prompt', 'Note'"),
        ("a.json", b'{"prompt": "x"}', "must hold a list, of texts or of objects with a key 'prompt'"),
        ("a.json", b'["one", "two', "is not valid JSON"),
        ("a.json", b'["one", {"text": "two"}]', "entry 2 has no key 'prompt'"),
        ("a.json", b"[1, null]", "holds no prompts (2 rows, none with a text)"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as found:
        load_prompts(path)
    assert str(path) in str(found.value) and said in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".txt"])
def test_a_folder_without_lists_is_not_a_list(tmp_path, suffix):
    with pytest.raises(UserError, match=f"{tmp_path.name}{suffix}: is a folder without .parquet files"):
        load_prompts(_folder(tmp_path.with_suffix(suffix)))


def test_json_lists_hold_texts_or_objects(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([*NASTY, "", NASTY[0]]))
    assert list(load_prompts(tmp_path / "a.json")["prompt"]) == NASTY
    (tmp_path / "b.json").write_text(json.dumps([{"text": text, "kind": index} for index, text in enumerate(NASTY)]))
    table = load_prompts(tmp_path / "b.json", "text", ["kind"])
    assert list(table["prompt"]) == NASTY and list(table["kind"]) == [str(index) for index in range(len(NASTY))]


def test_in_a_tsv_quotes_are_part_of_a_text(tmp_path):
    lines = [["Prompt", "Category"], ['"G I G G L E" painted on a wall', "Writing"], ['half a " quote', "Writing"]]
    (tmp_path / "a.tsv").write_text("\n".join("\t".join(line) for line in lines))
    table = load_prompts(tmp_path / "a.tsv", "Prompt", ["Category"])
    assert list(table["prompt"]) == [lines[1][0], lines[2][0]] and list(table["Category"]) == ["Writing", "Writing"]


def test_a_folder_or_a_pattern_is_a_list_in_parts(tmp_path):
    for name, prompts in {"train-1": ["b", "a"], "train-0": ["a", None], "test-0": ["c"]}.items():
        pd.DataFrame({"caption": prompts, "jpg": b"x"}).to_parquet(tmp_path / f"{name}.parquet")
    assert list(load_prompts(tmp_path, "caption")["prompt"]) == ["c", "a", "b"]
    assert list(load_prompts(tmp_path / "train-*.parquet", "caption")["prompt"]) == ["a", "b"]
    with pytest.raises(UserError, match=r"valid-\*\.parquet: no such file"):
        load_prompts(tmp_path / "valid-*.parquet", "caption")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_texts_of_any_parquet_type_are_read(tmp_path, kind):
    pq.write_table(pa.table({"prompt": pa.array(["a", None, "b"]).cast(kind)}), tmp_path / "a.parquet")
    assert list(load_prompts(tmp_path / "a.parquet")["prompt"]) == ["a", "b"]


def _folder(path):
    path.mkdir()
    return path


def test_a_parquet_without_the_column_names_those_it_has(tmp_path):
    pd.DataFrame({"text": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column 'prompt'; it has 'text'"):
        load_prompts(tmp_path / "a.parquet")
