import re

import numpy as np
import pytest

from pnapo.report.budget import budget_plots
from pnapo.report.collect import collect, read_config
from pnapo.report.lab import _seeds, forest_plot, hacking_plots, path_plots, regimes_plot
from pnapo.report.runs import methods, variants
from pnapo.report.sections import gap_plots
from pnapo.report.training import growth_plot
from pnapo.report.tuning import SHADES, end_of, strips
from pnapo.tables.pivot import decimals


@pytest.fixture(scope="module")
def read(laboratory):
    return collect(laboratory, read_config((laboratory / "config.json").read_text()))


def changed(read, **parts):
    return type(read)(**{**vars(read), **parts})


def texts(svg):
    return re.findall(r">([^<>]+)</text>", svg)


def test_forest_has_all_runs_by_gain_and_their_seeds(read):
    plot = forest_plot(read, "sd3")
    table = read.comparisons.query("opponent == 'base' and metric == 'utility' and testset == 'freeform'")
    best = table.loc[table["gain"].idxmax()]
    assert plot.description.count("[") == 12
    places = decimals(table["gain_low"], table["gain_high"])
    assert plot.description.index(f"{best['gain']:+.{places}f}".replace("-", "−")) < plot.description.index(";")
    assert {"PNAPO", "PNAPO without f", "True utility: gain over the base model · Free-form prompts"} <= set(
        texts(plot.svg)
    )
    found = _seeds(read, "sd3", "freeform", "utility")
    row = read.seeds.query("run == 'pnapo' and metric == 'utility' and testset == 'freeform'").iloc[0]
    base = read.main.query("run == 'base' and metric == 'utility' and testset == 'freeform'")["mean"].iloc[0]
    assert found == {
        "pnapo": pytest.approx((row["lowest"] - base, row["highest"] - base))
    }  # two seeds, the only such run


def test_the_middle_of_three_seeds_follows_from_their_mean(read):
    three = read.seeds.assign(seeds=3, mean=2.0, lowest=1.0, highest=4.0)
    base = read.main.query("run == 'base' and metric == 'utility' and testset == 'freeform'")["mean"].iloc[0]
    found = _seeds(changed(read, seeds=three), "sd3", "freeform", "utility")["pnapo"]
    assert np.add(found, base).tolist() == pytest.approx([1, 1, 4])


def test_hacking_is_named_where_reward_rose_and_utility_fell(read):
    table = read.comparisons.copy()
    mine = (table["run"] == "ipo") & (table["opponent"] == "base") & (table["testset"] == "freeform")
    ends = ["gain", "gain_low", "gain_high"]
    table[ends] = 0.0
    table.loc[mine & (table["metric"] == "hps"), ends] = [0.3, 0.2, 0.4]
    table.loc[mine & (table["metric"] == "utility"), ends] = [-0.3, -0.4, -0.2]
    (plot,) = hacking_plots(changed(read, comparisons=table), "sd3")
    assert "Reward rose while utility fell: IPO." in plot.description
    assert "reward rises, utility falls: hacking" in texts(plot.svg)


def test_budget_has_a_panel_a_run_and_one_line_to_compare_with(read):
    pairs, passes = budget_plots(read, "sd3", methods(read.runs), "methods")
    assert {"PNAPO", "Diffusion-DPO", "MaPO", "pairs seen"} <= set(texts(pairs.svg)) and "3.2k" not in pairs.description
    assert "at 3,200" in pairs.description and "at 12,800" in passes.description
    variant, _ = budget_plots(read, "sd3", variants(read.runs), "variants")
    assert "PNAPO without f" in texts(variant.svg) and "MaPO" not in texts(variant.svg)
    assert budget_plots(changed(read, optional={}), "sd3", methods(read.runs), "methods") == []


def test_growth_is_in_percent_of_the_reference(read):
    log = read.logs["sd3", "ipo"][0].assign(e_ref_w=0.2, e_ref_l=0.5, e_w=0.21, e_l=0.6)
    logs = {**read.logs, ("sd3", "ipo"): [log]}
    plot = growth_plot(changed(read, logs=logs), "sd3", ["sft", "ipo"], "some")
    assert plot.description.endswith("IPO winner +5 %, loser +20 %")
    assert growth_plot(read, "sd3", ["sft"], "none") is None


def test_paths_and_regimes(read):
    (plot,) = path_plots(read, "sd3")
    assert {"stored", "inverted", "shuffled", "independent"} <= set(texts(plot.svg))
    assert {"SD3", "curved"} <= set(texts(regimes_plot(read).svg))
    one = {**read.optional, "regimes": read.optional["regimes"].iloc[:1]}
    assert regimes_plot(changed(read, optional=one)) is None and regimes_plot(changed(read, optional={})) is None


def test_tuning_marks_the_chosen_point_and_the_end_of_a_range(read):
    table = read.optional["tuning"].query("run == 'pnapo'").copy()
    table["score"], table["chosen"] = np.arange(len(table)) / 100, False
    table.loc[table.index[-1], "chosen"] = True  # β 3000, the larger learning rate, 200 steps
    (strip,) = strips(changed(read, optional={"tuning": table}), "sd3")
    assert strip.chosen == ["3000", "1e-06", "200", "0.1700"]
    assert strip.edge == "highest β, highest learning rate, highest steps"
    assert [beta for beta, _ in strip.blocks] == ["30", "300", "3000"] and len(strip.rates) == 2
    points = [p for _, rows in strip.blocks for row in rows for p in row]
    assert [p.chosen for p in points] == [False] * 17 + [True]
    assert (points[0].shade, points[-1].shade) == (0, SHADES) and "β 3000" in points[-1].text
    (sft,) = (s for s in strips(read, "sd3") if s.run == "SFT")
    assert sft.chosen[0] == "–" and [beta for beta, _ in sft.blocks] == ["–"] and "β" not in sft.edge
    assert end_of(float("nan"), []) == end_of(2, [2, 2]) == end_of(2, [1, 2, 3]) == "" and end_of(1, [1, 2]) == "lowest"


def test_a_point_that_was_not_tried_stays_empty(read):
    table = read.optional["tuning"].query("run == 'pnapo'").iloc[1:]
    (strip,) = strips(changed(read, optional={"tuning": table}), "sd3")
    assert strip.blocks[0][1][0][0].shade is None


def test_gaps_of_a_backbone_that_lacks_runs(read):
    """A regime has a few runs only: what tuning chose for the others there does not exist."""
    runs = {n: r if n == "pnapo" else r.model_copy(update={"backbones": ["sd3"]}) for n, r in read.config.runs.items()}
    config = read.config.model_copy(update={"backbones": ["sd3", "other"], "runs": runs})
    tuning = read.optional["tuning"]
    there = tuning[tuning["run"] == "pnapo"].assign(backbone="other")
    labels = {**read.labels, ("other", None, "hps"): read.labels["sd3", None, "hps"]}
    both = changed(read, config=config, labels=labels, optional={**read.optional, "tuning": there})
    assert [plot.name for plot in gap_plots(both, "other")] == ["gap-other-hps", "beta-other-pnapo"]
