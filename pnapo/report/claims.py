"""What holds: the table of claims with their verdicts, and the few lines that a reader sees first."""

import math
from dataclasses import dataclass, replace

import pandas as pd

from pnapo.errors import UserError
from pnapo.report.collect import Results
from pnapo.report.cost import in_words, spent
from pnapo.report.drawing import short
from pnapo.report.lab import judged_by
from pnapo.report.runs import SUBJECT, methods
from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASE, BASELINE
from pnapo.tables.verdicts import ABOUT, ANY

VERDICTS = {"supported": "✓", "contradicted": "✗", "undecided": "?"}


@dataclass(frozen=True)
class Verdict:
    """What one backbone says about a claim, or all of them (`everywhere`); `test` if it was not tested alike on each."""

    kind: str
    value: str
    p: str
    test: str = ""
    everywhere: bool = False


@dataclass(frozen=True)
class Group:
    """Claims about one thing. `rows`: (claim, test, statistic, one verdict or None per backbone, or one everywhere); the test
    is empty where it differs. `counts`: of each verdict."""

    title: str
    on: list[str]  # where they were judged, for people
    rows: list[tuple[str, str, str, list[Verdict | None]]]
    counts: dict[str, int]


@dataclass(frozen=True)
class Claims:
    """The claims that were judged, by what they are about."""

    backbones: list[str]
    groups: list[Group]


def digits(low: float, high: float) -> int:
    """Digits after the point that show half an interval's width with two significant digits, 0 to 6."""
    half = (high - low) / 2
    return min(6, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 3


def interval(value: float, low: float, high: float, sign: bool = False) -> str:
    """A number with its interval, true minus signs, ∞ for an open end; without the interval where that is unknown."""
    if math.isnan(value):
        return "–"
    if math.isfinite(low) and math.isfinite(high):
        n, plus = digits(low, high), "+" if sign else ""
        value, low, high = (round(number, n) + 0.0 for number in (value, low, high))  # rounding's −0 is 0
        text = f"{value:{plus}.{n}f} [{low:{plus}.{n}f}, {high:{plus}.{n}f}]"
    else:
        text = f"{value:.3g}" if math.isnan(low) or math.isnan(high) else f"{value:.3g} [{low:.3g}, {high:.3g}]"
    return text.replace("-", "−").replace("inf", "∞")


def _p(row: pd.Series) -> str:
    """The adjusted p-value if there is one, else the plain one."""
    for column, name in (("p_adjusted", "adjusted p"), ("p", "p")):
        p = pd.to_numeric(row[column], errors="coerce")
        if not math.isnan(p):
            return f"{name} < .001" if p < 0.001 else f"{name} = {p:.3f}".replace("0.", ".", 1)
    return ""


def claims_view(results: Results) -> Claims | None:
    """The table of claims, one row a claim, one column a backbone; None if there is none.

    Raises UserError for a verdict that is none, or a claim about nothing that is known.
    """
    table = results.optional.get("claims")
    if table is None:
        return None
    path = results.folder / "tables" / "claims.csv"
    found: dict[str, dict[tuple[str, str], dict[str, Verdict]]] = {about: {} for about in ABOUT}
    for _, row in table.iterrows():
        if row["verdict"] not in VERDICTS:
            raise UserError(
                f"{path}: verdict {row['verdict']!r} is none of {', '.join(VERDICTS)}; make the table again"
            )
        if row["about"] not in ABOUT:
            raise UserError(f"{path}: about {row['about']!r} is none of {', '.join(ABOUT)}; make the table again")
        numbers = [float(pd.to_numeric(row[c], errors="coerce")) for c in ("value", "low", "high")]
        verdict = Verdict(row["verdict"], interval(*numbers), _p(row), str(row["test"]), row["backbone"] == ANY)
        found[row["about"]].setdefault((str(row["claim"]), str(row["statistic"])), {})[row["backbone"]] = verdict
    shown = [b for b in results.config.backbones if b in set(table["backbone"])]
    groups = []
    for about, claims in found.items():
        rows = [_row(*key, verdicts, shown) for key, verdicts in claims.items()]
        said = table.loc[table["about"] == about, "verdict"].tolist()
        counts = {kind: said.count(kind) for kind in VERDICTS}
        on = [label(b) for b in (*shown, ANY) if any(b in verdicts for verdicts in claims.values())]
        groups += [Group(ABOUT[about], on, rows, counts)] if rows else []
    return Claims([label(b) for b in shown], groups)


def _row(
    claim: str, statistic: str, verdicts: dict[str, Verdict], backbones: list[str]
) -> tuple[str, str, str, list[Verdict | None]]:
    """A row of a group: how it was tested stands once if it was so everywhere, else with each verdict."""
    tests = {verdict.test for verdict in verdicts.values()}
    if len(tests) == 1:
        verdicts = {backbone: replace(verdict, test="") for backbone, verdict in verdicts.items()}
    shown = [verdicts[ANY]] if ANY in verdicts else [verdicts.get(backbone) for backbone in backbones]
    return claim, tests.pop() if len(tests) == 1 else "", statistic, shown


@dataclass(frozen=True)
class Number:
    """A number at the top of the page: whose it is (if that has to be said), the number, its interval."""

    whose: str
    text: str
    small: str = ""
    kind: str = ""  # "up", "down" or ""


@dataclass(frozen=True)
class Fact:
    """What a box at the top of the page says: its name, numbers, a note."""

    name: str
    numbers: list[Number]
    note: str


def summary(results: Results) -> list[Fact]:
    """The gains of the run the page is about, what they rest on, and what the training cost."""
    runs, cost = results.methods, results.compute
    facts = [_headline(results, opponent) for opponent in (BASE, BASELINE)] if SUBJECT in runs else []
    seeds = sorted({len(run.seeds) for run in runs.values()})
    text = f"{len(runs)} runs × {'–'.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}"
    first, confidence = len(methods(results.runs)), 100 * results.config.statistics.confidence
    kinds = f"{first} methods, {len(runs) - first} variants; " if first < len(runs) else ""
    facts.append(Fact("Evidence", [Number("", text)], f"{kinds}{confidence:g} % intervals over prompts and seeds"))
    kind = "gpu" if cost["gpu_hours"].sum() else "cpu"
    hours, passes = cost[f"{kind}_hours"].sum(), cost["forward_passes"].sum()
    number = Number("", in_words(hours), f"{kind.upper()} hours")
    note = f"{len(cost)} trainings, {short(cost['pairs_seen'].sum())} pairs seen, {short(passes)} forward passes"
    if whole := spent(results.folder / "logs").values():
        total = f"{in_words(sum(one.hours for one in whole))} CPU hours in {sum(one.jobs for one in whole):,} jobs"
        note += f"; with pairs, tuning, images and scores, by all logs that are here: {total}"
    facts.append(Fact("Cost of training", [number], note))
    return [fact for fact in facts if fact.numbers]


def _headline(results: Results, opponent: str) -> Fact:
    """The subject's gain over another run, on every backbone."""
    metric, testset = judged_by(results, SUBJECT)
    table, numbers, count = results.comparisons, [], 0
    chosen = (table["run"] == SUBJECT) & (table["opponent"] == opponent)
    for row in table[chosen & (table["testset"] == testset) & (table["metric"] == metric)].itertuples():
        kind = "up" if row.gain_low > 0 else "down" if row.gain_high < 0 else ""
        text, _, small = interval(row.gain, row.gain_low, row.gain_high, sign=True).partition(" ")
        whose, count = label(row.backbone) if len(results.config.backbones) > 1 else "", int(row.n)
        numbers.append(Number(whose, text, small, kind))
    note = f"{label(metric)}, {testset_label(testset).lower()}, n = {count:,}"
    return Fact(f"{label(SUBJECT)} over {label(opponent)}", numbers, note)
