from dataclasses import replace

import pandas as pd
import pytest

from pnapo.errors import UserError
from pnapo.report.claims import claims_view, interval, summary
from pnapo.report.collect import OPTIONAL, collect, read_config, read_optional


@pytest.fixture(scope="module")
def read(laboratory):
    return collect(laboratory, read_config((laboratory / "config.json").read_text()))


def test_intervals_show_two_digits_of_their_half_width():
    assert interval(0.0312, 0.0198, 0.0433, sign=True) == "+0.031 [+0.020, +0.043]"
    assert interval(-1234.5, -1400.0, -1000.0) == "−1234 [−1400, −1000]"
    assert interval(2.0, float("nan"), 3.0) == "2" and interval(0, 0, float("inf")) == "0 [0, ∞]"
    assert interval(float("nan"), 0, 0) == "–"


def test_claims_have_one_row_a_test_and_an_adjusted_p_where_there_is_one(read):
    claims = claims_view(read)
    runs, theory = claims.groups
    assert claims.backbones == ["SD3"] and runs.title == "What training gives" and theory.title == "Theory"
    assert runs.counts == {"supported": 1, "contradicted": 0, "undecided": 1} and theory.counts["contradicted"] == 1
    assert [verdict.kind for *_, (verdict,) in runs.rows] == ["supported", "undecided"]
    assert [verdict.p for *_, (verdict,) in (*runs.rows, *theory.rows)] == ["p < .001", "adjusted p = .210", ""]


def test_a_claim_is_one_row_on_all_backbones_and_says_how_it_was_tested_on_each(read):
    claims = read.optional["claims"]
    flux = claims.assign(backbone="flux", test=["its own", *claims["test"][1:]]).iloc[:2]
    exact = claims.iloc[2:].assign(backbone="any")
    several = {"optional": dict(read.optional, claims=pd.concat([claims.iloc[:2], flux, exact]))}
    several["config"] = read.config.model_copy(update={"backbones": ["sd3", "flux"]})
    runs, theory = claims_view(replace(read, **several)).groups
    (_, test, _, verdicts), (_, alike, _, others) = runs.rows
    assert test == "" and [verdict.test for verdict in verdicts] == [claims["test"][0], "its own"]
    assert alike == claims["test"][1] and [verdict.test for verdict in others] == ["", ""]
    ((*_, (once,)),) = theory.rows
    assert once.everywhere and theory.counts == {"supported": 0, "contradicted": 1, "undecided": 0}


def test_summary_says_gain_evidence_and_cost(read):
    over_base, over_dpo, evidence, cost = summary(read)
    row = read.comparisons.query("run == 'pnapo' and opponent == 'diffusion_dpo' and metric == 'utility'").iloc[0]
    assert over_base.name == "PNAPO over base" and over_dpo.numbers[0].text.replace("−", "-") == f"{row['gain']:+.2f}"
    assert evidence.numbers[0].text == "12 runs × 1–2 seeds" and "8 methods, 4 variants" in evidence.note
    assert cost.note.startswith("13 trainings, 6.24k pairs seen")


def write(folder, name, frame):
    (folder / "tables").mkdir(exist_ok=True)
    frame.to_csv(folder / "tables" / f"{name}.csv", index=False)


def test_the_tables_that_are_asked_for_are_read_and_no_others(read, tmp_path):
    plain = {name: run.model_copy(update={"tune": False}) for name, run in read.config.runs.items()}
    asked = read.config.model_copy(update={"claims": None, "runs": plain})
    write(tmp_path, "claims", read.optional["claims"])
    with pytest.raises(UserError, match=r"budget\.csv: no such file"):
        read_optional(tmp_path, asked)
    write(tmp_path, "budget", read.optional["budget"])
    assert set(read_optional(tmp_path, asked)) == {"budget"}
    assert set(read.optional) == set(OPTIONAL)


def test_damaged_tables_are_named(read, tmp_path):
    write(tmp_path, "claims", read.optional["claims"].drop(columns="verdict"))
    with pytest.raises(UserError, match=r"claims\.csv: no column 'verdict'"):
        read_optional(tmp_path, read.config)
    wrong = dict(read.optional, claims=read.optional["claims"].assign(verdict="proved"))
    with pytest.raises(UserError, match="verdict 'proved' is none of supported, contradicted, undecided"):
        claims_view(type(read)(**{**vars(read), "optional": wrong}))
