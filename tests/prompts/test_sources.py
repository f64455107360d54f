"""Prompt lists from files: texts verbatim, mistakes named."""

import json

import pandas as pd
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
def test_a_folder_is_not_a_list(tmp_path, suffix):
    with pytest.raises(UserError, match=f"{tmp_path.name}{suffix}: .*folder|directory"):
        load_prompts(_folder(tmp_path.with_suffix(suffix)))


def _folder(path):
    path.mkdir()
    return path


def test_a_parquet_without_the_column_names_those_it_has(tmp_path):
    pd.DataFrame({"text": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column 'prompt'; it has 'text'"):
        load_prompts(tmp_path / "a.parquet")
