"""Prompt lists from files: texts verbatim, mistakes named."""

import json

import pandas as pd
import pytest

from pnapo.artifacts import prompt_id
from pnapo.errors import UserError
from pnapo.prompts.sources import load_prompts

NASTY = [
    "two\nlines",
    "control \x07 and \x0c form feed",
    "emoji 👩‍🎨🎈",
    "<script>alert('x')</script>",
    r"\textbf{$\alpha$} & 50 % #1_{}",
    "=HYPERLINK(1)",
    "x" * 10_000,
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_nasty_prompts_survive(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    frame = pd.DataFrame({"prompt": [*NASTY, "", "  ", None, NASTY[0]]})
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in frame["prompt"]), "utf-8")
    table = load_prompts(path)
    assert list(table["prompt"]) == NASTY
    assert list(table["prompt_id"]) == [prompt_id(p) for p in NASTY]


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


def test_a_parquet_without_the_column_names_those_it_has(tmp_path):
    pd.DataFrame({"text": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column 'prompt'; it has 'text'"):
        load_prompts(tmp_path / "a.parquet")
