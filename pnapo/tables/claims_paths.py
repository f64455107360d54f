"""Claims about paths and gradients, from what the laboratory measured on the models themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import read_record, require_listed
from pnapo.config.schema import Claims, Statistics
from pnapo.tables.geometry import by_prompt
from pnapo.tables.labels import label
from pnapo.tables.statistics import crossed_effect
from pnapo.tables.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Finding


def path_findings(
    folder: Path, claims: Claims, statistics: Statistics, trained: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Straightness, closeness and the noise of gradients, as measured in `folder`.

    Gradients are those at the start, and where the runs of `trained` have ended, by the policies of their seeds.
    """
    means = by_prompt(folder)
    stored, fresh = (means.loc[path] for path in ("stored", "independent"))
    confidence = statistics.confidence

    distance = stored["distance"].to_numpy()
    effect, below = (crossed_effect(v, confidence) for v in (distance, claims.straight - distance))
    yield Finding(
        "trajectories are nearly straight",
        f"RMS distance of the model's trajectory from the line between image and stored noise, over the line's length, below "
        f"{claims.straight:g}",
        "relative distance", *effect[:3], p=below.p, favourable=below.value > 0,
    )  # fmt: skip
    for name, column, claim in (
        (
            "relative distance",
            "distance",
            "the line to the stored noise is closer to the trajectory than forward noising",
        ),
        ("error of the reference", "error", "the reference errs less on stored noise than on fresh noise"),
    ):
        effect = crossed_effect((fresh[column] - stored[column]).to_numpy(), confidence)
        yield Finding(claim, f"fresh − stored, {name}, by prompt, > 0", name, *effect, favourable=effect.value > 0)

    yield from gradient_findings([read_record(folder / "gradients.json")], "at the start of training", confidence)
    for run, policies in trained.items():
        records = [read_record(folder / f"gradients-{policy}.json") for policy in policies]
        yield from gradient_findings(records, f"after training ({label(run)})", confidence)


def gradient_findings(records: Sequence[Mapping], when: str, confidence: float) -> Iterator[Finding]:
    """Variance, and signal over noise, of a pair's gradient on stored noise against fresh noise; a record for each seed.

    The paths share pairs and times, so it is their difference that each pair is left out of: the jackknife's pseudo-values
    [seeds, pairs] stand for values of pairs, and seeds and pairs are both random.
    """
    for claim, statistic, test, measure in (
        (
            f"lower variance of the gradient {when}",
            "variance of the gradient",
            "trace of the covariance of a pair's gradient, fresh − stored",
            lambda stored, fresh: fresh[1] - stored[1],
        ),
        (
            f"more signal for its noise {when}",
            "signal over noise of one pair",
            "squared norm of the mean gradient over its variance, stored − fresh",
            lambda stored, fresh: stored[0] / stored[1] - fresh[0] / fresh[1],
        ),
    ):
        values = np.array([_pseudo_values(record, measure) for record in records])
        effect = crossed_effect(values, confidence)
        over = "pairs and training seeds" if len(records) > 1 else "pairs"
        yield Finding(claim, f"{test}, > 0; jackknife over {over}", statistic, *effect, favourable=effect.value > 0)


def _pseudo_values(record: Mapping, measure: Callable) -> np.ndarray:
    """Pseudo-values [pairs] of a measure of (signal, noise) on stored and on fresh noise."""
    stored, fresh = (record[name] for name in ("stored", "independent"))
    whole = measure(*((path["signal"], path["noise"]) for path in (stored, fresh)))
    without = measure(*((np.array(path["signals"]), np.array(path["noises"])) for path in (stored, fresh)))
    return len(without) * whole - (len(without) - 1) * without


def exact_findings(exact: Path) -> Iterator[Finding]:
    """The inequality of divergences in linear-Gaussian models (`kl.csv`): the same whatever is trained."""
    require_listed(exact)
    table = pd.read_csv(exact)
    near = table[table["gain"].between(0.9, 1.1) & (table["bend"] <= 1)]
    for part, which in ((table, "of any error"), (near, "near the truth: gain 0.9 to 1.1, bend at most 1")):
        share = float(np.mean(part["holds"].astype(bool)))
        yield Finding(
            f"the bound on the divergence is the tighter one, in linear-Gaussian models {which}",
            f"share of {len(part)} models in which KL(p(xT|x0)·q ‖ p) ≤ KL(q ‖ p), computed exactly; one exception contradicts",
            "share of models", share, share, share, verdict=SUPPORTED if share == 1 else CONTRADICTED,
        )  # fmt: skip


def world_finding(world: Path, backbone: str) -> Finding:
    """The same of a backbone, as far as it is known (`kl_world.csv`)."""
    require_listed(world)
    known = pd.read_csv(world)
    row = known[known["backbone"] == backbone].nsmallest(1, "sigma").iloc[0]
    return Finding(
        "the bound on the divergence is the tighter one, for this model",
        f"errors on fresh noise − on stored noise, summed over the steps, over 2σ², σ = {row['sigma']:g}, against "
        f"{row['information']:.2g}, the most that noise and image may know of each other",
        "nats a dimension",
        *(float(row[name]) for name in ("saved", "saved_low", "saved_high")),
        verdict={"yes": SUPPORTED, "no": CONTRADICTED}.get(row["holds"], UNDECIDED),
    )
