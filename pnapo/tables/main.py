"""The main table, the comparisons behind its win rates, and the spread over training seeds.

Training seeds of a run are pooled: a prompt's score is its mean over images and seeds. A win is counted image by image
on the same prompt and noise (every seed against every seed), ties ½ (methods.md B).
"""

import math
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pnapo.artifacts import listing_of, write_json, write_listing
from pnapo.config.schema import Statistics
from pnapo.tables.pivot import main_caption, main_grids
from pnapo.tables.published import KEY
from pnapo.tables.scores import BASE, BASELINE, OVERALL, Expected, Scores, iterate, read_run
from pnapo.tables.statistics import crossed_effect, mean, mean_interval, sign_test, win_credit
from pnapo.tables.write import rounded, write_all

COLUMNS = (
    *("backbone", "run", "testset", "metric", "n", "mean", "median"),
    *("ci_low", "ci_high", "win_vs_base", "win_vs_dpo", "published"),
)
COMPARISONS = (
    *("backbone", "run", "opponent", "testset", "metric", "n"),
    *(
        "gain",
        "gain_low",
        "gain_high",
        "crossed_low",
        "crossed_high",
        "win_rate",
        "win_low",
        "win_high",
        "wins",
        "ties",
        "losses",
        "p_value",
    ),
)
SEEDS = ("backbone", "run", "testset", "metric", "seeds", "mean", "between_seed_sd", "lowest", "highest")


class MainTables(NamedTuple):
    """`main` has COLUMNS, `comparisons` COMPARISONS, `seeds` SEEDS."""

    main: pd.DataFrame
    comparisons: pd.DataFrame
    seeds: pd.DataFrame


def compare(ours: Scores, theirs: Scores, settings: Statistics) -> dict[str, float]:
    """Gain (mean difference, paired by prompt) and win rate of one run over another, with intervals and a sign test.

    A prompt is won if more than half of its image-by-image comparisons are; `p_value` is the exact test of wins
    against losses over prompts. The crossed interval of the gain is over training seeds, too: it is NaN where the runs have
    different numbers of seeds, unless the other has one (as the base has).
    """
    gain = mean_interval(ours.per_prompt - theirs.per_prompt, settings, ours.tags)
    seeds, low, high = len(theirs.images), math.nan, math.nan
    if seeds in (1, len(ours.images)):
        _, low, high, _ = crossed_effect(ours.per_seed - theirs.per_seed, settings.confidence, ours.weights)
    credit = ours.average(np.mean([win_credit(a, b) for a, b in product(ours.images, theirs.images)], axis=0))
    rate = mean_interval(credit, settings)
    wins, losses = int((credit > 0.5).sum()), int((credit < 0.5).sum())
    return {
        **{"n": len(credit), "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high},
        **{"crossed_low": low, "crossed_high": high},
        **{"win_rate": rate.value, "win_low": rate.low, "win_high": rate.high},
        **{"wins": wins, "ties": len(credit) - wins - losses, "losses": losses, "p_value": sign_test(wins, losses)},
    }


def summary(scores: Scores, settings: Statistics) -> dict[str, float]:
    """n, mean, median and interval. A median of GenEval's 0 and 1 says nothing, so it is left out."""
    values = scores.per_prompt
    found = mean_interval(values, settings, scores.tags)
    median = float("nan") if scores.tags else float(np.median(values))
    return {"n": len(values), "mean": found.value, "median": median, "ci_low": found.low, "ci_high": found.high}


def _seed_row(scores: Scores) -> dict[str, float]:
    """Mean of each training seed's mean, and their standard deviation (empty for one seed)."""
    means = [mean(scores.average(one), scores.tags) for one in scores.images]
    sd = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    return {
        **{"seeds": len(means), "mean": float(np.mean(means)), "between_seed_sd": sd},
        **{"lowest": min(means), "highest": max(means)},
    }


def main_tables(root: Path | str, expected: Expected, published: pd.DataFrame | None = None) -> MainTables:
    """Read every expected score below `root` and measure it; `published` comes from `read_published`."""
    main, comparisons, seeds = [], [], []
    settings = expected.statistics
    for backbone in expected.backbones:
        runs = expected.rows(backbone)
        for (
            testset,
            metric,
        ) in expected.columns:  # the scores of three runs are in memory at a time, whatever their number
            opponents = {
                r: read_run(root, expected, backbone, r, testset, metric) for r in (BASE, BASELINE) if r in runs
            }
            for run in runs:
                name = {"backbone": backbone, "run": run, "testset": testset, "metric": metric}
                ours = opponents.get(run) or read_run(root, expected, *name.values())
                rates = {}
                for opponent, theirs in opponents.items():
                    if run not in (BASE, opponent):
                        result = compare(ours, theirs, settings)
                        comparisons.append({**name, "opponent": opponent, **result})
                        rates[opponent] = result["win_rate"]
                wins = {"win_vs_base": rates.get(BASE, np.nan), "win_vs_dpo": rates.get(BASELINE, np.nan)}
                main.append({**name, **summary(ours, settings), **wins})
                if run != BASE:
                    seeds.append({**name, **_seed_row(ours)})
    place = {key: number for number, key in enumerate(iterate(expected))}
    for rows in (main, comparisons, seeds):
        rows.sort(key=lambda row: place[row["backbone"], row["run"], row["testset"], row["metric"]])

    table = pd.DataFrame(main, columns=COLUMNS[:-1])
    if published is None:
        table["published"] = np.nan
    else:
        whole = published[published["task"] == OVERALL].drop(columns="task")
        table = table.merge(whole, how="left", on=KEY)
    return MainTables(table, pd.DataFrame(comparisons, columns=COMPARISONS), pd.DataFrame(seeds, columns=SEEDS))


def write_main(tables: MainTables, expected: Expected, out: Path, means: Path) -> None:
    """Write the main table to `out` (.csv, .md, .tex), the comparisons and the spread over seeds beside it, and the means
    alone to `means` (.json).
    """
    confidence = expected.statistics.confidence
    write_all(
        tables.comparisons,
        out.with_name("comparisons.csv"),
        "Gains and win rates of each run over its opponent, on the same prompts and noises, with "
        f"{100 * confidence:g} % bootstrap intervals over prompts; the crossed one of the gain is over prompts and training "
        "seeds, where both runs have as many. A prompt is won if more than half of its image-by-"
        "image comparisons are; the p-value is the exact two-sided sign test of wins against losses, without "
        "correction for the number of comparisons.",
    )
    write_all(
        tables.seeds,
        out.with_name("seeds.csv"),
        "Spread over training seeds: the mean of each seed's mean, their standard deviation (empty for one seed) and "
        "extremes.",
    )
    caption = main_caption(confidence, expected.scored_by, tables.main["metric"].unique())
    write_all(tables.main, out, caption, grids=main_grids(rounded(tables.main)))
    write_json(means, metrics(tables.main))
    write_listing(listing_of(means), "metrics", [means.name])


def metrics(main: pd.DataFrame) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """The means of a main table: backbone → run → test set → metric → mean."""
    found: dict = {}
    for row in main.itertuples():
        found.setdefault(row.backbone, {}).setdefault(row.run, {}).setdefault(row.testset, {})[row.metric] = row.mean
    return found
