"""The laboratory's tables, made up but complete, in the columns that the report reads. Numbers come from a seeded generator."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import prompt_id, write_csv, write_table
from pnapo.config.schema import Config
from pnapo.tables.geometry import COLUMNS

PATHS = ("stored", "inverted", "shuffled", "independent")
CLAIMS = [
    ("Stored noise beats fresh noise.", "Paired gain of PNAPO over PNAPO with fresh noise", "difference of gains", "supported"),
    ("The factor f helps.", "Paired gain of PNAPO over PNAPO without f", "difference of gains", "undecided"),
    ("PNAPO needs fewer pairs.", "Pairs until Diffusion-DPO's best gain is reached", "ratio of pairs", "contradicted"),
]  # fmt: skip


def claims(config: Config, rng: np.random.Generator) -> pd.DataFrame:
    """Three claims on every backbone; the last has no p-value, the second an adjusted one."""
    rows = []
    for backbone, (number, (claim, test, statistic, verdict)) in product(config.backbones, enumerate(CLAIMS)):
        value = {"supported": 0.03, "undecided": 0.004, "contradicted": -0.02}[verdict] + rng.normal() * 1e-3
        p = ["", 0.21, ""][number]
        row = dict(claim=claim, test=test, statistic=statistic, value=value, low=value - 0.01, high=value + 0.01)
        rows.append(
            {
                "backbone": backbone,
                "about": ("runs", "runs", "theory")[number],
                **row,
                "p": 0.0004 if not number else p,
                "p_adjusted": p,
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)


def tuning(config: Config, rng: np.random.Generator) -> pd.DataFrame:
    """Three β around each run's own (none for SFT), two learning rates, three numbers of steps."""
    rows = []
    for backbone, (name, run) in product(config.backbones, config.runs.items()):
        betas = [np.nan] if run.loss == "sft" else [run.beta / 10, run.beta, run.beta * 10]
        grid = list(product(betas, (run.learning_rate / 3, run.learning_rate), (50, 100, 200)))
        scores = rng.normal(size=len(grid)) * 0.01 + 0.62
        for i, (beta, rate, step) in enumerate(grid):
            row = dict(beta=beta, learning_rate=rate, step=step, score=scores[i], chosen=i == scores.argmax())
            rows.append({"backbone": backbone, "run": name, **row})
    return pd.DataFrame(rows).assign(chosen=lambda t: t["chosen"].map({True: "true", False: "false"}))


def budget(config: Config, gains: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Five snapshots of each run, from nothing to its gain in the table of comparisons."""
    rows = []
    for r in gains.itertuples():
        for step in (10, 25, 50, 100, 200):
            share = (step / 200) ** 0.5
            gain, half = r.gain * share + rng.normal() * 1e-3, (r.gain_high - r.gain_low) / 2
            cost = dict(step=step, pairs_seen=16 * step, policy_passes=32 * step, reference_passes=32 * step)
            row = dict(n=r.n, gain=gain, gain_low=gain - half, gain_high=gain + half, between_seed_sd=0.004)
            rows.append(dict(backbone=r.backbone, run=r.run, testset=r.testset, metric=r.metric, **cost, **row))
    return pd.DataFrame(rows)


def geometry(rng: np.random.Generator) -> pd.DataFrame:
    """`geometry.parquet`: two samples of 20 prompts on four paths at nine times."""
    keys = list(product([prompt_id(str(i)) for i in range(20)], range(2), PATHS, np.linspace(0.1, 0.9, 9)))
    table = pd.DataFrame(keys, columns=["prompt_id", "sample", "path", "t"])
    level = table["path"].map(dict(zip(PATHS, (0.06, 0.05, 0.4, 0.35))))
    noise = np.exp(rng.normal(size=(2, len(table))) * 0.5)
    return table.assign(distance=level * noise[0], error=level * noise[1], length=1.4)


def write_laboratory(folder: Path, config: Config) -> None:
    """Write every table of the contract into a results folder that already has the table of comparisons."""
    rng = np.random.default_rng(1)
    compared = pd.read_csv(folder / "tables" / "comparisons.csv")
    utility = compared[(compared["opponent"] == "base") & (compared["metric"] == "utility")]
    gains = utility[utility["testset"] == utility["testset"].iloc[0]]
    regimes = []
    for i, backbone in enumerate([*config.backbones, "curved"]):
        row = dict(curvature=0.05 + 0.1 * i, curvature_low=0.04 + 0.1 * i, curvature_high=0.06 + 0.1 * i)
        regimes.append(
            dict(
                backbone=backbone,
                metric="utility",
                **row,
                advantage=0.03 - 0.04 * i,
                low=0.01 - 0.04 * i,
                high=0.05 - 0.04 * i,
            )
        )
    paths = []
    for backbone, path in product(config.backbones, PATHS):
        numbers = [20, 0.1, 0.08, 0.12, 0.2, 0.18, 0.22, 100, 3.0, 2.5, 3.5, 1.0, 90.0, 60.0, np.nan]
        paths.append(dict(zip(COLUMNS, [backbone, path, *numbers], strict=True)))
    for name, table in (
        ("claims", claims(config, rng)),
        ("tuning", tuning(config, rng)),
        ("budget", budget(config, gains, rng)),
        ("geometry", pd.DataFrame(paths)),
        ("regimes", pd.DataFrame(regimes)),
    ):
        write_csv(folder / "tables" / f"{name}.csv", table)
    for backbone in config.backbones:
        write_table(folder / "lab" / backbone / "geometry.parquet", geometry(rng))
