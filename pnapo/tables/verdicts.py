"""What was found on a claim, before and after it is judged."""

from dataclasses import dataclass
from typing import NamedTuple

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
ANY = "any"  # in the place of a backbone: a claim that is judged without one
ABOUT = {"runs": "What training gives", "paths": "Paths and gradients", "theory": "Theory"}  # what claims are about


@dataclass(frozen=True)
class Finding:
    """A claim's test: the statistic with its interval, and a two-sided p-value against the border of the claim.

    `favourable` says on which side of that border the estimate lies. Without p-value the verdict comes with the finding.
    `about` is one of ABOUT.
    """

    claim: str
    test: str
    statistic: str
    value: float
    low: float
    high: float
    p: float | None = None
    favourable: bool = False
    verdict: str = UNDECIDED
    about: str = "runs"


class Ends(NamedTuple):
    """Where an interval lies beside a border."""

    low: float
    high: float

    def against(self, border: float) -> str:
        """supported above the border, contradicted below it, undecided across it."""
        return SUPPORTED if self.low >= border else CONTRADICTED if self.high < border else UNDECIDED
