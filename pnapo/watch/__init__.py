"""Trainings that go wrong, and what says so: pure functions on what trainings, labels and tables leave. No torch.

docs/warnings.md has each detector with its threshold. `Watcher` follows a training; `labels`, `rewards` and `evaluation`
look at what lies before and behind it.
"""

from pnapo.watch.finding import KINDS, NOT_FINITE, Finding
from pnapo.watch.watcher import Watcher

__all__ = ["KINDS", "NOT_FINITE", "Finding", "Watcher"]
