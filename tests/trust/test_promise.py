"""What a program of trust records: which runs get a row on the page of reliability, and that nothing passes untried."""

import json
import sys

import pytest

from trust import promise, run
from trust.promise import Promise, arguments, record


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What the arguments of a command line are, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def parse(*words):
        monkeypatch.setattr(sys, "argv", ["trust.some", *words])

        def add(parser):
            parser.add_argument("--folder", type=promise.Path)
            parser.add_argument("--seed", type=int, default=0)
            parser.add_argument("--only", nargs="+", default=[""])

        return arguments("some", add)

    return parse


def test_a_run_with_other_options_leaves_the_rows_of_the_page_as_they_are(given, tmp_path):
    whole, part = [Promise("a", "whole", True)], [Promise("a", "a part", True)]
    record("some", whole, given("--seed", "3").record_in)
    record("some", part, given("--only", "x").record_in)
    record("some", part, given("--only", "x", "--folder", "there").record_in)
    assert json.loads((tmp_path / "results/trust/some.json").read_text())[0]["figure"] == "whole"
    assert json.loads((tmp_path / "there/some.json").read_text())[0]["figure"] == "a part"
    record("some", [Promise("a", "again", True)], given("--folder", "there").record_in)
    assert run.rows("some") == [("a", "`python -m trust.some`", "again", "holds")]


def test_what_is_broken_or_was_not_tried_is_not_proven(tmp_path):
    for holds, verdict in ((False, "**broken**"), (None, "not run")):
        with pytest.raises(SystemExit) as ended:
            record("some", [Promise("a", "1", True), Promise("b", "2", holds)], tmp_path)
        assert ended.value.code == 1 and [row[-1] for row in run.rows("some", tmp_path)] == ["holds", verdict]
    with pytest.raises(RuntimeError, match="no promise was checked"):
        record("some", [], tmp_path)
