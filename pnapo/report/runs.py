"""What a reader is shown first when there are many runs: methods before their variants, and the colour of each."""

from collections.abc import Sequence

from pnapo.tables.scores import BASE

SUBJECT = "pnapo"  # the run that the summary is about, where there is one
FEW = 8  # runs that one plot can tell apart by colour
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#5b4bb7")
BASE_COLOR, OTHER_COLOR = "#7d858c", "#4c555d"


def parent(run: str, runs: Sequence[str]) -> str | None:
    """The run that `run` is a variant of: the longest other name that its own continues (`pnapo` of `pnapo_no_f`)."""
    found = [other for other in runs if run.startswith(f"{other}_")]
    return max(found, key=len, default=None)


def methods(runs: Sequence[str]) -> list[str]:
    """The runs that are no variants, without the base model; every run if there are few."""
    others = [run for run in runs if run != BASE]
    return others if len(others) <= FEW else [run for run in others if parent(run, others) is None]


def variants(runs: Sequence[str]) -> list[str]:
    """The other runs but the base model."""
    first = set(methods(runs))
    return [run for run in runs if run != BASE and run not in first]


def ordered(runs: Sequence[str]) -> list[str]:
    """The base model, where it is among them, methods, then their variants."""
    return [run for run in runs if run == BASE] + methods(runs) + variants(runs)


def focus(runs: Sequence[str]) -> list[str]:
    """The runs in plots that can hold only a few: the first methods."""
    return methods(runs)[:FEW]


def focus_on(runs: Sequence[str], here: Sequence[str]) -> list[str]:
    """Those of them that a backbone has (`here`, without the base model); where it has variants alone, the first of these."""
    return [run for run in focus(runs) if run in here] or list(here[:FEW])


def colors_of(runs: Sequence[str]) -> dict[str, str]:
    """The colour of each run: grey for the base model, one each for the runs in `focus`, a variant its method's."""
    own = dict(zip(focus(runs), PALETTE))
    found = {BASE: BASE_COLOR}
    for run in methods(runs):
        found[run] = own.get(run, OTHER_COLOR)
    for run in variants(runs):
        found[run] = own.get(_root(run, runs), OTHER_COLOR)
    return found


def _root(run: str, runs: Sequence[str]) -> str:
    """The method at the start of a chain of variants."""
    while above := parent(run, runs):
        run = above
    return run
