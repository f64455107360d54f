"""Follows a training: rows in, findings out, each kind once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pnapo.config.schema import Watch
from pnapo.watch.finding import NOT_FINITE, Finding
from pnapo.watch.labels import gap_outlier, no_spread
from pnapo.watch.log import DETECTORS, Row, accuracy_collapses

_WEIGH_GAPS = {"reward_gap", "dynamic", "capo"}  # schedules and losses to which the size of a gap is something


class Watcher:
    """The findings of a training so far; the same rows make the same ones, so that one which was resumed has them again.

    `settings` are the training's resolved ones (`pnapo.training.settings`).
    """

    def __init__(self, watch: Watch, settings: Mapping[str, Any]):
        run = settings["run"]
        self.watch, self.pairs, self.scale = watch, run["batch"] * run["accumulation"], settings["reward_scale"]
        self.weighed = bool({run["schedule"], run["loss"]} & _WEIGH_GAPS)
        # A loss for guidance's negative branch may learn the preference upside down.
        self.detectors = [each for each in DETECTORS if not (settings["negative"] and each is accuracy_collapses)]
        self.rows: list[Row] = []
        self.findings: list[Finding] = []

    def begin(self, gaps: Sequence[float]) -> list[Finding]:
        """What the reward gaps of the training's pairs show, in raw units."""
        if self.weighed:
            self.findings += no_spread(gaps, self.scale, self.watch)
            self.findings += gap_outlier(gaps, self.scale, self.watch)
        return list(self.findings)

    def add(self, row: Row) -> list[Finding]:
        """What the log shows with one row more that it did not show before. A row that is not finite shows nothing else."""
        self.rows.append(row)
        known = {finding.name for finding in self.findings}
        asked = (detector for detector in self.detectors if detector.__name__ not in known)
        found = []
        for finding in (detector(self.rows, self.watch, self.pairs) for detector in asked):
            found += [finding] if finding else []
            if finding and finding.name == NOT_FINITE:
                break
        self.findings += found
        return found

    def follow(self, rows: Iterable[Row]) -> None:
        """Take over the rows of an earlier attempt."""
        for row in rows:
            self.add(row)
