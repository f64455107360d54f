"""Claims about paths and gradients, from what the laboratory measured on the models themselves."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts import read_record, require_listed
from pnapo.config.schema import Claims, Statistics
from pnapo.tables.geometry import by_prompt
from pnapo.tables.statistics import Effect, crossed_effect
from pnapo.tables.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Finding

Z = 1.96  # of the jackknife's intervals in gradients.json


def path_findings(
    folder: Path, claims: Claims, statistics: Statistics, policies: Sequence[str] = ()
) -> Iterator[Finding]:
    """Straightness, closeness and the noise of gradients at the start and at trained `policies`, as measured in `folder`."""
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

    yield from gradient_findings(read_record(folder / "gradients.json"), "at the start of training")
    for policy in policies:
        yield from gradient_findings(read_record(folder / f"gradients-{policy}.json"), f"after training ({policy})")


def gradient_findings(paths: Mapping[str, Mapping[str, float]], when: str) -> Iterator[Finding]:
    """Variance, and signal over noise, of a pair's gradient on stored noise against fresh noise."""
    stored, fresh = (paths[name] for name in ("stored", "independent"))
    effect = _z_test(
        fresh["noise"] - stored["noise"],
        math.hypot(*((path["noise_high"] - path["noise_low"]) / (2 * Z) for path in (stored, fresh))),
    )
    yield Finding(
        f"lower variance of the gradient {when}",
        "trace of the covariance of a pair's gradient, fresh − stored, > 0; jackknife over pairs",
        "variance of the gradient", *effect, favourable=effect.value > 0,
    )  # fmt: skip
    ratios = [path["signal"] / path["noise"] for path in (stored, fresh)]
    errors = [(path["signal_high"] - path["signal_low"]) / (2 * Z) / path["noise"] for path in (stored, fresh)]
    effect = _z_test(ratios[0] - ratios[1], math.hypot(*errors))
    yield Finding(
        f"more signal for its noise {when}",
        "squared norm of the mean gradient over its variance, stored − fresh, > 0; jackknife over pairs",
        "signal over noise of one pair", *effect, favourable=effect.value > 0,
    )  # fmt: skip


def _z_test(value: float, error: float) -> Effect:
    """A normal estimate with its interval, and the two-sided p-value of its being 0."""
    if not math.isfinite(error) or error <= 0:
        return Effect(value, math.nan, math.nan, 1.0)
    return Effect(value, value - Z * error, value + Z * error, math.erfc(abs(value) / error / math.sqrt(2)))


def theory_findings(exact: Path, world: Path, backbone: str) -> Iterator[Finding]:
    """The inequality of divergences: exactly, in linear-Gaussian models, and as far as it is known of the backbone."""
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
    require_listed(world)
    known = pd.read_csv(world)
    row = known[known["backbone"] == backbone].nsmallest(1, "sigma").iloc[0]
    yield Finding(
        "the bound on the divergence is the tighter one, for this model",
        f"errors on fresh noise − on stored noise, summed over the steps, over 2σ², σ = {row['sigma']:g}, against "
        f"{row['information']:.2g}, the most that noise and image may know of each other",
        "nats a dimension",
        *(float(row[name]) for name in ("saved", "saved_low", "saved_high")),
        verdict={"yes": SUPPORTED, "no": CONTRADICTED}.get(row["holds"], UNDECIDED),
    )
