"""Text from elsewhere: one line, no secrets, no formulas, code that stays code."""

import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pnapo.text import as_cell, code_span, file_stem, from_cell, one_line, presentable, redacted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://me:pass-word@host/file.pt: 404", "https://***@host/file.pt: 404"),
        (
            "https://host/file?version=3&X-Amz-Signature=abcdef&x=1",
            "https://host/file?version=3&X-Amz-Signature=***&x=1",
        ),
        ("https://host/f?access_token=abcdef; try again", "https://host/f?access_token=***; try again"),
        ("not hf_abcdefghijklmnopqrst, sorry", "not ***, sorry"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("tokens: 3, key=7 and a@b.org", "tokens: 3, key=7 and a@b.org"),
    ],
)
def test_secrets_of_addresses_are_hidden(text: str, told: str) -> None:
    assert redacted(text) == told


def test_secrets_of_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HF_TOKEN": "s3cret-value", "WANDB_API_KEY": "0123456789", "A_KEY": "short"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "falsefalse")
    monkeypatch.setenv("MY_KEY", "/home/me/key.pem")
    text = "s3cret-value 0123456789 short falsefalse /home/me/key.pem"
    assert presentable(text) == "*** *** short falsefalse /home/me/key.pem"


@given(st.text())
@example("a\nb\x1b[2J\x9b\u2028\u202e\ud800\x00")
@settings(max_examples=50)
def test_a_message_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()
    presentable(text).encode()


FORMULAS = st.text(alphabet=[*"=+-@'; \t\r\n,\"＝a1.e", "\ud800"], max_size=12)


def runs(cell: str) -> bool:
    """Whether some spreadsheet might take a part of this cell for a formula."""
    if cell[:1] in ("\t", "\r", "\n"):
        return True
    for separator in ";\t\r\n":
        cell = cell.replace(separator, ";")
    parts = (part.strip(' "') for part in cell.split(";"))
    return any(
        part[:1] in tuple("=+-@＝＋－＠") and not part.strip("+-").replace(".", "").isdigit() for part in parts if part
    )


@given(FORMULAS)
@example("=1+1")
@example("'=1")
@example("a;\t =cmd|' /C calc'!A0")
@settings(max_examples=300)
def test_cells_run_nothing_and_come_back(text: str) -> None:
    assert from_cell(as_cell(text)) == text
    if set(text) & set(string.ascii_letters):
        assert not runs(as_cell(text))


def test_a_text_names_a_file() -> None:
    texts = ["two_object", "a/b", "a b", "a" * 3000, "..", "", "∞", "\0"]
    found = [file_stem(text) for text in texts]
    assert found[0] == "two_object" and len(set(found)) == len(texts)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) for name in found)


def test_numbers_stay_numbers() -> None:
    assert [as_cell(text) for text in ("-1.5", "+3", "-1e-05", "-1+1")] == ["-1.5", "+3", "-1e-05", "'-1+1"]


@pytest.mark.parametrize(
    ("text", "span"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a\n\n# b", r"`a\n\n# b`"), ("", "`  `")]
)
def test_code_stays_code(text: str, span: str) -> None:
    assert code_span(text) == span
