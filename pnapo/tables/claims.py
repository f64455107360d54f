"""The paper's claims, one by one: how each was tested, what came out, how sure that is, and a verdict.

A verdict is `supported` if the effect lies on the claimed side and its p-value, adjusted by Holm's method for the number of
claims tested on a backbone, is below 1 − confidence; `contradicted` if it lies as surely on the other side; `undecided`
otherwise. Effects on runs are over prompts and training seeds (`crossed_effect`): another seed is within their intervals.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from pnapo.config.schema import Claims
from pnapo.tables.claims_compute import equal_compute, less_compute
from pnapo.tables.claims_paths import exact_findings, path_findings, world_finding
from pnapo.tables.labels import label
from pnapo.tables.scores import BASE, Expected, differences
from pnapo.tables.snapshots import Curves
from pnapo.tables.statistics import crossed_effect, holm
from pnapo.tables.verdicts import ABOUT, ANY, CONTRADICTED, SUPPORTED, UNDECIDED, Finding
from pnapo.tables.write import Cell, Grid

COLUMNS = ("backbone", "about", "claim", "test", "statistic", "value", "low", "high", "p", "p_adjusted", "verdict")


class Question(BaseModel):
    """What the table is made of: the JSON of the script's --config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claims: Claims
    expected: Expected
    curves: Curves | None

    @property
    def backbones(self) -> list[str]:
        """Those on which the claims are judged."""
        return [b for b in self.expected.backbones if b in (self.claims.backbones or [b])]


@dataclass(frozen=True)
class Trial:
    """A claim about runs: the mean difference of two of them by a metric, and the least it has to exceed."""

    claim: str
    ours: str
    theirs: str
    testset: str
    metric: str
    least: float = 0.0  # as a share of the other's mean

    def test(self, level: float) -> str:
        """How it is tested, in words; `level` is the other's mean."""
        bar = (
            f" > −{-self.least:.0%} of its mean: {self.least * level:.3g}".replace(": -", ": −")
            if self.least
            else " > 0"
        )
        return (
            f"{label(self.ours)} − {label(self.theirs)}, {label(self.metric)}, on prompts and noises they share,{bar}"
        )


def trials(claims: Claims, expected: Expected, backbone: str) -> list[Trial]:
    """The claims about runs that can be tried with a backbone's runs and the metrics that are there."""
    method, base, testset = claims.method, claims.baseline, claims.testset
    found = [
        Trial(
            "higher reward than the baseline at equal tuning, within one budget of steps",
            method,
            base,
            testset,
            claims.reward,
        )
    ]
    for part, name in (("f", claims.without_f), ("g", claims.without_g)):
        found.append(Trial(f"{part} helps", method, name, testset, claims.reward))
    found += [
        Trial("stored noise is what helps: fresh noise is worse", method, claims.independent, testset, claims.reward),
        Trial("stored noise is what helps: another prompt's is worse", method, claims.shuffled, testset, claims.reward),
        Trial("the method gains on its training reward", method, BASE, testset, claims.reward),
    ]
    for metric in claims.others:
        found.append(Trial(f"gains hold beyond the training reward ({label(metric)})", method, BASE, testset, metric))
        found.append(Trial(f"and exceed the baseline's there ({label(metric)})", method, base, testset, metric))
    for metric in claims.alignment:
        where = expected.metrics.get(metric, [testset])[0]
        found.append(
            Trial(f"alignment is not sacrificed ({label(metric)})", method, BASE, where, metric, -claims.margin)
        )
    here = set(expected.rows(backbone))
    return [t for t in found if {t.ours, t.theirs} <= here and t.testset in expected.metrics.get(t.metric, ())]


def run_findings(root: Path | str, question: Question, backbone: str) -> Iterator[Finding]:
    """What the scores below `root` say on each trial."""
    confidence = question.expected.statistics.confidence
    for trial in trials(question.claims, question.expected, backbone):
        found = differences(root, question.expected, backbone, trial.ours, trial.theirs, trial.testset, trial.metric)
        least = trial.least * found.level
        effect = crossed_effect(found.values, confidence, found.weights)
        over = crossed_effect(found.values - least, confidence, found.weights)
        yield Finding(
            trial.claim, trial.test(found.level), f"difference, {label(trial.metric)}", effect.value, effect.low, effect.high,
            over.p, over.value > 0,
        )  # fmt: skip


def claims_table(results: Path, question: Question) -> pd.DataFrame:
    """One row (COLUMNS) per backbone and claim, from the scores and measurements below `results`.

    What is known without a backbone stands once, with ANY in its place.
    """
    rows, confidence = [], question.expected.statistics.confidence
    for backbone in question.backbones:
        here = question.expected.rows(backbone)
        trained = {
            run: question.expected.policies(run)
            for run in (question.claims.method, question.claims.baseline)
            if run in here
        }
        lab = results / "lab" / backbone
        found = list(run_findings(results / "scores", question, backbone))
        if question.curves:
            given = (results / "scores", question.curves, question.claims, backbone)
            found += [*equal_compute(*given), *less_compute(*given)]
        measured = path_findings(lab, question.claims, question.expected.statistics, trained)
        found += [replace(finding, about="paths") for finding in measured]
        found.append(replace(world_finding(results / "tables" / "kl_world.csv", backbone), about="theory"))
        rows += [{"backbone": backbone, **row} for row in judge(found, confidence)]
    exact = [replace(finding, about="theory") for finding in exact_findings(results / "tables" / "kl.csv")]
    rows += [{"backbone": ANY, **row} for row in judge(exact, confidence)]
    return pd.DataFrame(rows, columns=COLUMNS)


def judge(findings: Iterable[Finding], confidence: float) -> list[dict]:
    """The findings with adjusted p-values and verdicts; those with a verdict of their own keep it."""
    findings = list(findings)
    tested = [i for i, finding in enumerate(findings) if finding.p is not None]
    adjusted = dict(zip(tested, holm([findings[i].p for i in tested])))
    rows = []
    for i, finding in enumerate(findings):
        if i in adjusted:
            sure = adjusted[i] < 1 - confidence
            verdict = UNDECIDED if not sure else SUPPORTED if finding.favourable else CONTRADICTED
            finding = replace(finding, verdict=verdict)
        names = ("about", "claim", "test", "statistic", "value", "low", "high", "p")
        row = {name: getattr(finding, name) for name in names}
        rows.append({**row, "p_adjusted": adjusted.get(i), "verdict": finding.verdict})
    return rows


def claims_grids(table: pd.DataFrame) -> list[Grid]:
    """Per backbone, and what they are about: claims down."""
    grids = []
    for (backbone, about), part in table.groupby(["backbone", "about"], sort=False):
        body = []
        for row in part.to_dict("records"):
            number = f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"
            p = "–" if pd.isna(row["p_adjusted"]) else f"{row['p_adjusted']:.2g}"
            cells = [Cell(row["claim"]), Cell(row["verdict"], bold=row["verdict"] != UNDECIDED), Cell(number), Cell(p)]
            body.append([*cells, Cell(row["test"])])
        header = ["claim", "verdict", "value and interval", "p", "test"]
        grids.append(Grid(header, body, ABOUT[about], label(str(backbone)), left=frozenset((0, 1, 4))))
    return grids


def claims_caption(confidence: float) -> str:
    """What claims.md says about itself."""
    return (
        f"The paper's claims as tested here, with {100 * confidence:g} % intervals. Differences of runs: over prompts and "
        "training seeds, both random, on the same prompts and noises; every run was tuned on a grid of the same size. p is "
        f"adjusted for the number of claims on a backbone (Holm); below {1 - confidence:.2g} the verdict is supported or "
        "contradicted, otherwise undecided. A tiny world neither proves nor refutes what holds at paper scale."
    )
