"""What raters said, worked out by hand: three of them, four pairs."""

import json
from math import isnan

import numpy as np
import pandas as pd
import pytest

from pnapo.cli import main
from pnapo.config.schema import Statistics
from pnapo.errors import UserError
from pnapo.study.agreement import krippendorff_alpha
from pnapo.study.analyse import COLUMNS, analyse, crossed_interval
from pnapo.study.answers import read_answers, read_key

# A stands left, right, left, right. For A: 1, 1, 0, ½ of Ann; 1, 1, 0, 0 of Bo; 1, ½, 1, 0 of Cy.
SAID = {"Ann": ("lrrs", "lrlr", "ssss"), "Bo": ("lrrl", "lrlr", "ssss"), "Cy": ("lsll", "lrlr", "ssss")}


@pytest.fixture
def answers(answer):
    return [answer(rater, *said) for rater, said in SAID.items()]


def test_by_hand(key, answers, tmp_path):
    table = analyse(key, answers, tmp_path / "study.csv")
    assert tuple(table) == COLUMNS and table[["run", "against", "raters", "pairs"]].eq(["A", "B", 3, 4]).all(axis=None)
    overall, appeal, alignment = table.itertuples()
    assert overall.share == 7 / 12 and 0 <= overall.low < 7 / 12 < overall.high <= 1
    # Pairs 1 and 2 go to A, 3 and 4 to B. Sides: LLL RRS RRL SLL; observed 1 − 12/24, expected 1 − (30 + 12 + 2)/132.
    assert (overall.wins, overall.losses, overall.p) == (2, 2, 1) and overall.alpha == pytest.approx(1 / 4)
    assert (appeal.share, appeal.low, appeal.high, appeal.wins, appeal.losses) == (1, 1, 1, 4, 0)
    assert appeal.p == 2 / 16 and appeal.alpha == 1
    assert (alignment.share, alignment.wins, alignment.losses, alignment.p) == (0.5, 0, 0, 1) and isnan(alignment.alpha)
    assert "58.3 %" in (tmp_path / "study.md").read_text() and r"58.3 \%" in (tmp_path / "study.tex").read_text()


def test_the_order_of_files_does_not_matter(key, answers, tmp_path):
    tables = [analyse(key, given, tmp_path / "study.csv") for given in (answers, answers[::-1])]
    pd.testing.assert_frame_equal(*tables)


def test_several_runs_are_told_apart(key, answers, tmp_path):
    found = json.loads(key.read_text())
    found["settings"]["runs"].append("C")
    found["pairs"][2:] = [{"pair": 3, "left": "C", "right": "A"}, {"pair": 4, "left": "B", "right": "C"}]
    key.write_text(json.dumps(found))
    table = analyse(key, answers, tmp_path / "study.csv").set_index(["question", "run", "against"]).sort_index()
    assert table.loc["overall preference", "share"].to_dict() == {
        ("A", "B"): (3 + 2.5) / 6,
        ("A", "C"): 2 / 3,  # right, right, left
        ("B", "C"): 2.5 / 3,  # same, left, left
    }


def test_alpha_of_the_literature():
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), A: two observers, binary, 10 units: 0.095.
    one, two = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha(np.array([one, two])) == pytest.approx(1 - 19 * 4 / (14 * 6), abs=1e-12)
    assert round(krippendorff_alpha(np.array([one, two])), 3) == 0.095
    assert krippendorff_alpha(np.array([[0, 1], [1, 0]])) == pytest.approx(-0.5)
    assert isnan(krippendorff_alpha(np.array([[0, 1]])))


def test_raters_and_pairs_are_both_a_sample():
    settings = Statistics(bootstrap=4000, confidence=0.4)
    # Two of which one is drawn twice, or both: 0, ½, ½, 1, alike.
    assert crossed_interval(np.array([[1.0], [0.0]]), settings) == (0.5, 0.5, 0.5)
    wide = Statistics(bootstrap=4000, confidence=0.6)
    assert crossed_interval(np.array([[1.0], [0.0]]), wide) == (0.5, 0, 1)
    assert crossed_interval(np.array([[1.0, 0.0]]), wide) == (0.5, 0, 1)
    # One of four is not 0: it is not drawn with probability 1 − (1 − 1/4)² = 7/16, as either its row or column is not.
    corner = np.array([[1.0, 0.0], [0.0, 0.0]])
    low, high = (Statistics(bootstrap=4000, confidence=c) for c in (0.1, 0.2))
    assert crossed_interval(corner, low).low > 0 and crossed_interval(corner, high).low == 0
    everywhere = np.tile([[1.0, 0.0]], (10, 1))  # raters agree: more of them do not narrow it
    assert crossed_interval(everywhere, wide) == (0.5, 0, 1)


def broken(path, change):
    """The file with its JSON changed."""
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


CASES = {
    "another study": (lambda f: f.update(study="s2"), "answers of study 's2', not of 's1'"),
    "a key": (lambda f: f.update(kind="study key"), "not the answers of a study"),
    "nobody": (lambda f: f.update(rater=" \n"), "no rater is named"),
    "no name": (lambda f: f.update(rater=["Ann"]), "no rater is named"),
    "no number": (lambda f: f["answers"][0].update(pair=True), "answers pair True, which is not there"),
    "left out": (lambda f: f["answers"][1].pop("alignment"), "pair 2 has no answer on text alignment"),
    "a pair left out": (lambda f: f["answers"].pop(), "pair 4 has no answer on overall preference"),
    "a pair too many": (lambda f: f["answers"].append({"pair": 5}), "answers pair 5, which is not there"),
    "a pair twice": (lambda f: f["answers"].append({"pair": 1}), "answers pair 1, which is not there or is answered"),
    "no pair": (lambda f: f["answers"].append([]), "answers pair None"),
    "no choice": (
        lambda f: f["answers"][0].update(overall="up\ndown"),
        r"overall preference: 'up\ndown' is none of left",
    ),
    "no text": (lambda f: f["answers"][0].update(overall=[1]), "[1] is none of left, same, right"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_answers_are_named_with_their_file(key, answers, case):
    change, message = CASES[case]
    broken(answers[1], change)
    with pytest.raises(UserError) as caught:
        read_answers(answers, read_key(key))
    assert str(caught.value).startswith(f"{answers[1]}: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b'{"kind": ', b"\xff\xfe", b"[" * 100_000, b"", b"[]", b'{"a": 1, "a": 2}', b"NaN"]
)
def test_damaged_answers_are_named(key, answers, content):
    answers[2].write_bytes(content)
    with pytest.raises(UserError, match=r"^\S*Cy\.json: not (valid|a) JSON.*; ask the rater for the file again$"):
        read_answers(answers, read_key(key))


def test_a_rater_counts_once(key, answers, answer):
    again = answer("ann", "llll", "llll", "llll", name="later")
    with pytest.raises(
        UserError, match=r"later\.json: rater 'ann' answers in \S*Ann\.json already; keep one of the two"
    ):
        read_answers([*answers, again], read_key(key))
    with pytest.raises(UserError, match="no answers given"):
        read_answers([], read_key(key))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("page"),
        lambda f: f["page"].update(name="a/b"),
        lambda f: f["page"].update(name=3),
        lambda f: f["settings"].update(runs=["A"]),
        lambda f: f["settings"].update(runs=None),
        lambda f: f["settings"].update(runs=[{}]),
        lambda f: f.update(pairs=[]),
        lambda f: f["pairs"][0].update(left=[]),
        lambda f: f.update(study=None),
        lambda f: f["settings"].update(runs=["A", "B", "A"]),
        lambda f: f["settings"].update(runs=["A", "B", "C"]),  # of which no pair is
        lambda f: f["pairs"][0].update(right="A"),
        lambda f: f["pairs"].reverse(),
        lambda f: f["pairs"][0].pop("pair"),
    ],
)
def test_a_key_that_is_none_is_one_clear_line(key, change):
    broken(key, change)
    with pytest.raises(UserError, match=r"not the key of a study; give the \.key\.json"):
        read_key(key)


def test_a_wrong_key_is_named(key, answers, tmp_path, capsys):
    (tmp_path / "study.html").write_text("another page")
    with pytest.raises(UserError, match=r"study\.html: not the page of "):
        read_key(key)
    (tmp_path / "study.html").unlink()
    with pytest.raises(SystemExit):
        main(["study", "analyse", str(answers[0]), *map(str, answers), "--out", str(tmp_path / "t.csv")])
    assert f"{answers[0]}: not the key of a study; give the .key.json" in capsys.readouterr().err
    main(["study", "analyse", str(key), *map(str, answers), "--out", str(tmp_path / "t.csv")])
    assert capsys.readouterr().out == f"{tmp_path}/t.csv: 3 raters, 4 pairs\n"
