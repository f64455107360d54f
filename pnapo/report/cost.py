"""What a workflow cost, by stage, from the logs of its jobs."""

import re
from pathlib import Path
from typing import NamedTuple

_COST = re.compile(r"^cost: ([\d.]+) s of CPU, (\d+) MiB at most$", re.MULTILINE)


class Spent(NamedTuple):
    """Hours of CPU and the number of jobs."""

    hours: float
    jobs: int


def in_words(hours: float) -> str:
    """Hours with three significant digits, whole ones from 100 on."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def spent(logs: Path) -> dict[str, Spent]:
    """What each stage cost, the dearest first: of every job the last line of its log that tells. Empty without logs."""
    found: dict[str, list[float]] = {}
    for path in sorted(logs.rglob("*.log")):
        for seconds, _ in _COST.findall(path.read_text("utf-8", errors="replace"))[-1:]:
            found.setdefault(path.relative_to(logs).parts[0], []).append(float(seconds) / 3600)
    stages = {stage: Spent(sum(hours), len(hours)) for stage, hours in found.items()}
    return dict(sorted(stages.items(), key=lambda item: -item[1].hours))
