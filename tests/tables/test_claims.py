import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pnapo.artifacts import write_csv, write_json, write_table
from pnapo.config.schema import Claims, Statistics
from pnapo.errors import UserError
from pnapo.tables.claims import Question, claims_table, judge, trials
from pnapo.tables.claims_paths import gradient_findings
from pnapo.tables.scores import Expected, differences
from pnapo.tables.verdicts import Ends, Finding

EXPECTED = Expected(
    backbones=["sd3"],
    runs={"diffusion_dpo": [0, 1], "pnapo": [0, 1, 2]},
    metrics={"hps": ["heldout"], "geneval": ["geneval"]},
)
GRADIENT = {"noise": 4.0, "noises": [4.1, 4.0, 3.9], "signal": 0.5, "signals": [0.5, 0.4, 0.6]}


@pytest.fixture
def results(put, tmp_path):
    """PNAPO above Diffusion-DPO by 1 on every prompt, but for a little; GenEval falls by half; straight stored paths."""
    rng = np.random.default_rng(0)
    base = {f"p{i}": [float(rng.normal())] for i in range(30)}
    put("base", base)
    for policy, gain in {
        **{f"pnapo-s{s}": 2.0 for s in range(3)},
        **{f"diffusion_dpo-s{s}": 1.0 for s in range(2)},
    }.items():
        put(policy, {p: [v[0] + gain + 0.1 * float(rng.normal())] for p, v in base.items()})
    tags = {f"g{i}": "colors" if i < 20 else "counting" for i in range(24)}
    for policy in ("base", *(f"pnapo-s{s}" for s in range(3)), *(f"diffusion_dpo-s{s}" for s in range(2))):
        right = {p: [1.0 if policy == "base" else float(i % 2)] for i, p in enumerate(tags)}
        put(policy, right, metric="geneval", testset="geneval", tags=tags)
    rows = [
        {"prompt_id": p, "path": path, "distance": d * (1 + 0.01 * i), "error": d, "length": 2.0}
        for i, p in enumerate("abcdefgh")
        for path, d in (("stored", 0.1), ("independent", 1.0))
    ]
    (tmp_path / "lab/sd3").mkdir(parents=True)
    write_table(tmp_path / "lab/sd3/geometry.parquet", pd.DataFrame(rows))
    policies = [f"-{policy}" for policy in (*(f"pnapo-s{s}" for s in range(3)), "diffusion_dpo-s0", "diffusion_dpo-s1")]
    for policy in ("", *policies):
        low = {**GRADIENT, "noise": 2.0, "noises": [2.0, 2.1, 1.9]}
        write_json(tmp_path / f"lab/sd3/gradients{policy}.json", {"stored": low, "independent": GRADIENT})
    bound = pd.DataFrame({"gain": [1, 2], "bend": [0, 0], "holds": [True, False]})
    write_csv(tmp_path / "tables/kl.csv", bound)
    numbers = {"saved": 3, "saved_low": 2, "saved_high": 4, "information": 1.5, "holds": "yes"}
    write_csv(tmp_path / "tables/kl_world.csv", pd.DataFrame([{"backbone": "sd3", "sigma": 0.1, **numbers}]))
    return tmp_path


def question(**changes):
    return Question(claims=Claims(**changes), expected=EXPECTED, curves=None)


def test_claims_are_judged(results, script):
    out = results / "tables/claims.csv"
    config = question().model_dump_json()
    script("claims_table", "--results", results, "--config", config, "--out", out)
    table = claims_table(results, question()).set_index("claim")
    verdicts = table["verdict"].to_dict()
    assert verdicts["trajectories are nearly straight"] == "supported"
    assert verdicts["the line to the stored noise is closer to the trajectory than forward noising"] == "supported"
    assert verdicts["higher reward than the baseline at equal tuning, within one budget of steps"] == "supported"
    assert verdicts["alignment is not sacrificed (GenEval)"] == "contradicted"
    assert table.loc["alignment is not sacrificed (GenEval)", "value"] == pytest.approx(-0.5)
    assert verdicts["lower variance of the gradient at the start of training"] == "supported"
    bounds = {claim: verdict for claim, verdict in verdicts.items() if claim.startswith("the bound")}
    assert list(bounds.values()) == ["supported", "contradicted", "supported"]
    assert table.groupby("about", sort=False)["backbone"].unique()["theory"].tolist() == ["sd3", "any"]
    assert not any("helps" in claim for claim in verdicts)  # its runs are not there
    assert "**supported**" in out.with_suffix(".md").read_text() and len(json.loads(config)) == 3


def test_a_bar_below_zero_is_a_share_of_the_other_mean(results):
    table = claims_table(results, question(margin=0.95)).set_index("claim")
    assert table.loc["alignment is not sacrificed (GenEval)", "verdict"] == "supported"  # −½ is above −0.95·1


def test_runs_are_compared_on_the_seeds_they_share(results, put):
    found = differences(results / "scores", EXPECTED, "sd3", "pnapo", "diffusion_dpo", "heldout", "hps")
    assert found.values.shape == (2, 30) and found.weights is None
    assert found.level == pytest.approx(1, abs=0.5) and found.values.mean() == pytest.approx(1, abs=0.05)
    apart = EXPECTED.model_copy(update={"runs": {"pnapo": [0], "diffusion_dpo": [1]}})
    with pytest.raises(UserError, match="no training seed in common"):
        differences(results / "scores", apart, "sd3", "pnapo", "diffusion_dpo", "heldout", "hps")


def test_tasks_count_alike(results):
    found = differences(results / "scores", EXPECTED, "sd3", "pnapo", "base", "geneval", "geneval")
    assert found.weights.mean() == pytest.approx(1) and sorted(set(found.weights)) == pytest.approx([0.6, 3.0])


def test_a_verdict_needs_a_small_p_and_the_right_side():
    findings = [
        Finding("a", "", "", 1, 0, 2, p=0.01, favourable=True),
        Finding("b", "", "", -1, -2, 0, p=0.02, favourable=False),
        Finding("c", "", "", 1, 0, 2, p=0.04, favourable=True),  # not after correction for three
        Finding("d", "", "", 1, 1, 1, verdict="supported"),
    ]
    rows = judge([*findings, Finding("e", "", "", 1, 0, 2, p=0.9, favourable=True)], 0.95)
    assert [row["verdict"] for row in rows] == ["supported", "undecided", "undecided", "supported", "undecided"]
    assert rows[0]["p_adjusted"] == pytest.approx(0.04) and rows[3]["p_adjusted"] is None
    assert judge(findings[1:2], 0.95)[0]["verdict"] == "contradicted"
    assert [Ends(*ends).against(12) for ends in ((12, 13), (2, 11), (2, 13))] == [
        "supported",
        "contradicted",
        "undecided",
    ]


def test_gradients_are_compared_pair_by_pair_and_seed_by_seed():
    """Fresh noise has 2 more variance whichever pair is left out, so that is sure, however much both vary over pairs."""
    stored = {"signal": 1.0, "noise": 2.0, "signals": [1.0, 1.0, 1.0], "noises": [1.0, 2.0, 3.0]}
    fresh = {"signal": 1.0, "noise": 4.0, "signals": [1.0, 1.0, 1.0], "noises": [3.0, 4.0, 5.0]}
    variance, ratio = gradient_findings([{"stored": stored, "independent": fresh}], "now", 0.95)
    assert (variance.value, variance.low, variance.high, variance.p) == (2, 2, 2, 0) and variance.favourable
    # 1/2 − 1/4, and with a pair left out 1 − 1/3, 1/2 − 1/4, 1/3 − 1/5: pseudo-values 3·¼ − 2·those
    pseudo = 0.75 - 2 * np.array([2 / 3, 1 / 4, 2 / 15])
    assert ratio.value == pytest.approx(pseudo.mean())
    half = stats.t.ppf(0.975, 2) * pseudo.std(ddof=1) / np.sqrt(3)
    assert (ratio.low, ratio.high) == pytest.approx((pseudo.mean() - half, pseudo.mean() + half))
    other = {"stored": stored, "independent": {**fresh, "noise": 6.0, "noises": [5.0, 6.0, 7.0]}}
    variance, _ = gradient_findings([{"stored": stored, "independent": fresh}, other], "later", 0.95)
    half = stats.t.ppf(0.975, 1) * 1.0  # two seeds, 2 and 4, whatever the pairs
    assert (variance.value, variance.high) == pytest.approx((3.0, 3.0 + half)) and "training seeds" in variance.test


def test_every_trial_names_what_it_compares():
    everything = Expected(
        backbones=["sd3"],
        runs={
            r: [0]
            for r in ("pnapo", "diffusion_dpo", "pnapo_independent", "pnapo_shuffled", "pnapo_no_f", "pnapo_no_g")
        },
        metrics={m: ["heldout"] for m in ("hps", "pickscore", "aesthetic", "utility", "clip", "geneval")},
        statistics=Statistics(),
    )
    found = trials(Claims(), everything, "sd3")
    assert len({trial.claim for trial in found}) == len(found) == 14
    assert all(trial.ours == "pnapo" for trial in found)
    against = {trial.claim: trial.theirs for trial in found if trial.theirs not in ("base", "diffusion_dpo")}
    assert against == {
        "f helps": "pnapo_no_f",
        "g helps": "pnapo_no_g",
        "stored noise is what helps: fresh noise is worse": "pnapo_independent",
        "stored noise is what helps: another prompt's is worse": "pnapo_shuffled",
    }
    baseline = [trial.claim for trial in found if trial.theirs == "diffusion_dpo"]
    assert baseline[0].startswith("higher reward") and all(claim.startswith("and exceed") for claim in baseline[1:])
    assert [trial.least for trial in found if "alignment" in trial.claim] == [-0.02, -0.02]


def test_advantage_against_curvature(results, script):
    out = results / "tables/regimes.csv"
    script("regimes_table", "--results", results, "--config", question().model_dump_json(), "--out", out)
    row = pd.read_csv(out).iloc[0]
    assert row["curvature"] == pytest.approx(0.05 * 1.035, rel=1e-4) and row["error_fresh"] == 1
    assert row["advantage"] == pytest.approx(1, abs=0.05) and row["low"] < row["advantage"] < row["high"]
    assert "PNAPO − Diffusion-DPO" in out.with_suffix(".md").read_text()
