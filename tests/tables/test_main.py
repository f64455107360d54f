import json

import pandas as pd
import pytest
from scipy import stats

from pnapo import scripting
from pnapo.artifacts import read_json
from pnapo.errors import UserError
from pnapo.tables.main import COLUMNS, main_tables
from pnapo.tables.published import read_published
from pnapo.tables.scores import Expected

EXPECTED = Expected(
    backbones=["sd3"], runs={"diffusion_dpo": [0], "pnapo": [0, 1]}, metrics={"hps": ["heldout"]},
    scored_by={"hps": "ViT-H-14 (HPS_v2.1.pt)"},
)  # fmt: skip


@pytest.fixture
def scores(put, tmp_path):
    """Two prompts, two samples each; small enough to work out by hand."""
    put("base", {"a": [1, 2], "b": [3, 3]})
    put("diffusion_dpo-s0", {"a": [1, 1], "b": [4, 4]}, reverse=True)
    put("pnapo-s0", {"a": [1, 3], "b": [2, 4]})
    put("pnapo-s1", {"a": [0, 2], "b": [3, 3]}, reverse=True)
    return tmp_path / "scores"


def test_hand_worked_rows(scores):
    table = main_tables(scores, EXPECTED).main
    assert tuple(table.columns) == COLUMNS
    assert table["run"].tolist() == ["base", "diffusion_dpo", "pnapo"]
    base, dpo, pnapo = (table.iloc[i] for i in range(3))
    assert (base["n"], base["mean"], base["median"]) == (2, 2.25, 2.25)
    assert pd.isna(base["win_vs_base"]) and pd.isna(base["win_vs_dpo"]) and pd.isna(base["published"])
    assert dpo["win_vs_base"] == (0.5 + 0 + 1 + 1) / 4 and pd.isna(dpo["win_vs_dpo"])
    assert pnapo["mean"] == ((1 + 3 + 0 + 2) / 4 + (2 + 4 + 3 + 3) / 4) / 2
    # seed 0 against the base: ½, 1, 0, 1; seed 1: 0, ½, ½, ½
    assert pnapo["win_vs_base"] == (0.5 + 1 + 0 + 1 + 0 + 0.5 + 0.5 + 0.5) / 8
    # against Diffusion-DPO: ½, 1, 0, ½ and 0, 1, 0, 0
    assert pnapo["win_vs_dpo"] == (0.5 + 1 + 0 + 0.5 + 0 + 1) / 8


def test_comparisons_and_seeds(scores):
    _, comparisons, seeds = main_tables(scores, EXPECTED)
    row = comparisons.set_index(["run", "opponent"]).loc[("diffusion_dpo", "base")]
    assert (row["wins"], row["ties"], row["losses"], row["p_value"]) == (1, 0, 1, 1)  # prompt b won, a lost (½ + 0)
    assert (row["gain"], row["gain_low"], row["gain_high"]) == (0.25, -0.5, 1.0)  # −½ on a, +1 on b
    half = stats.t.ppf(0.975, 1) * 0.75  # two prompts ¾ from their mean
    assert (row["crossed_low"], row["crossed_high"]) == pytest.approx((0.25 - half, 0.25 + half))
    row = comparisons.set_index(["run", "opponent"]).loc[("pnapo", "base")]
    assert row["crossed_high"] - row["crossed_low"] > 0 and row["crossed_low"] < row["gain_low"]
    pnapo = seeds.set_index("run").loc["pnapo"]
    assert (pnapo["seeds"], pnapo["lowest"], pnapo["highest"]) == (2, 2.0, 2.5)
    assert pnapo["between_seed_sd"] == pytest.approx(0.5 / 2**0.5)
    assert pd.isna(seeds.set_index("run").loc["diffusion_dpo", "between_seed_sd"])


def test_geneval_counts_tasks_equally(put, tmp_path):
    tags = {"a": "colors", "b": "colors", "c": "colors", "d": "counting"}
    put("base", {"a": [1, 1], "b": [1, 0], "c": [0, 0], "d": [1, 1]}, "geneval", "geneval", tags=tags)
    expected = Expected(backbones=["sd3"], runs={}, metrics={"geneval": ["geneval"]})
    row = main_tables(tmp_path / "scores", expected).main.iloc[0]
    assert (row["n"], row["mean"]) == (4, (0.5 + 1) / 2)
    assert row["ci_low"] >= 0.5  # the one counting prompt is right in every resample
    assert pd.isna(row["median"])


def test_other_images_are_refused(scores, put):
    path = put("pnapo-s1", {"a": [0, 2], "c": [3, 3]})
    with pytest.raises(UserError, match=str(path)):
        main_tables(scores, EXPECTED)


def test_a_score_that_is_not_finite_is_refused(scores, put):
    put("pnapo-s1", {"a": [0, 2], "b": [float("nan"), 3]})
    with pytest.raises(UserError, match="prompt b is not a finite number"):
        main_tables(scores, EXPECTED)


def test_published_stands_beside_its_row(scores, tmp_path):
    csv = tmp_path / "published.csv"
    csv.write_text("backbone,run,testset,metric,value,source\nsd3,pnapo,heldout,hps,33.09,a paper\n")
    table = main_tables(scores, EXPECTED, read_published(csv)).main
    assert table["published"].isna().tolist() == [True, True, False]
    assert table["published"].iloc[2] == 33.09
    csv.write_text("backbone,run,testset,metric,value\nsd3,pnapo,heldout,hps,about 33\n")
    with pytest.raises(UserError, match="line 2: value 'about 33'"):
        read_published(csv)


def test_published_tasks_of_geneval_are_not_its_overall_value(scores, tmp_path):
    csv, head = tmp_path / "published.csv", "backbone,run,testset,metric,task,value\n"
    csv.write_text(f"{head}sd3,pnapo,heldout,hps,counting,0.4\n")
    assert main_tables(scores, EXPECTED, read_published(csv)).main["published"].isna().all()
    csv.write_text(f"{head}sd3,pnapo,heldout,hps,,0.4\nsd3,pnapo,heldout,hps,overall,0.5\n")
    with pytest.raises(UserError, match="line 3: a second value for the same"):
        read_published(csv)


def test_shipped_published_values_are_readable():
    table = read_published("config/published.csv")
    row = table.set_index(["backbone", "run", "testset", "metric"]).loc[("flux", "pnapo", "opdv1", "hps")]
    assert row["published"] == 32.10


def run_script(script, scores, out):
    config = json.dumps(EXPECTED.model_dump(exclude={"statistics"}))
    script("main_table", "--scores", scores, "--config", config, "--out", out, "--metrics", out.with_name("means.json"))


def test_script_writes_the_same_bytes_twice(scores, script, tmp_path):
    for name in ("one", "two"):
        run_script(script, scores, tmp_path / name / "main.csv")
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    tables = [f"{t}.{k}" for t in ("comparisons", "main", "seeds") for k in ("csv", "md", "tex", "manifest.json")]
    assert files == sorted([*tables, "means.json", "means.manifest.json"])
    main, means = pd.read_csv(tmp_path / "one" / "main.csv"), read_json(tmp_path / "one" / "means.json")
    for row in main.itertuples():
        assert means[row.backbone][row.run][row.testset][row.metric] == pytest.approx(row.mean, rel=1e-4)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    text = (tmp_path / "one" / "main.md").read_text()
    assert "| PNAPO         |     2.25 ±0.75 |" in text and "| PNAPO         | 50.0 / 37.5 |" in text
    assert "**2.50 ±1.50**" in text
    assert "Scored by: HPS, ViT-H-14 (HPS_v2.1.pt)." in " ".join(text.split())


def test_missing_scores_are_one_clear_line(scores, script, tmp_path, capsys):
    (scores / "sd3" / "pnapo-s1" / "heldout" / "hps.parquet").unlink()
    with pytest.raises(SystemExit) as stop:
        scripting.run(lambda: run_script(script, scores, tmp_path / "tables" / "main.csv"))
    error = capsys.readouterr().err
    assert stop.value.code == 1 and error.count("\n") == 1
    assert error.startswith("error: ") and "pnapo-s1/heldout/hps.parquet: no such file" in error
    assert not (tmp_path / "tables").exists()
