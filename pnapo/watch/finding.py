"""What a detector says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

NOT_FINITE = "not_finite"  # ends a training always, and its row is not logged

# Every kind of trouble, in the words of a summary.
KINDS = {
    NOT_FINITE: "a number that is not finite",
    "gradient_explodes": "exploding gradient",
    "both_errors_grow": "winner and loser error both grew",
    "accuracy_collapses": "implicit accuracy collapsed",
    "far_from_reference": "far from the reference",
    "no_spread": "a reward without spread",
    "gap_outlier": "a degenerate reward gap",
    "reward_hacking": "the training reward rose while another metric fell",
    "guidance_mismatch": "trained and tested with different guidance",
    "resolution_mismatch": "tested at another resolution than the base model",
}


@dataclass(frozen=True)
class Finding:
    """One trouble, said once: at the step (counted from 1) after which it was clear."""

    name: str  # of KINDS
    step: int  # 0: before the first
    since: int  # the last step of which nothing is held against the weights
    numbers: Mapping[str, float]
    text: str  # what was found, what it means, what to do

    def line(self) -> str:
        """The line of a log."""
        return f"warning: step {self.step}: {KINDS[self.name]}: {self.text}"

    def content(self) -> dict[str, Any]:
        """The entry of warnings.json; numbers that JSON does not have are their names."""
        numbers = {name: value if abs(value) < float("inf") else str(value) for name, value in self.numbers.items()}
        return {**asdict(self), "numbers": numbers}
