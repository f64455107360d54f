"""Work in a process of its own, and the memory that it took: what it needs of its own, not what it maps from files."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.02  # seconds between two looks at a process


@dataclass(frozen=True)
class Cost:
    """Seconds; anonymous memory in MiB, at the start and at its peak; and pages of files in MiB, at their peak."""

    seconds: float
    start: float
    peak: float
    mapped: float = 0.0

    @property
    def grown(self) -> float:
        """MiB that the work has added."""
        return self.peak - self.start


def resident(pid: int) -> tuple[float, float]:
    """Memory of a process in MiB, anonymous and of mapped files; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    sizes = {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss")}
    return sizes.get("RssAnon", 0.0), sizes.get("RssFile", 0.0)


def watched(work: Callable[[], object], log: Path) -> Cost:
    """Do `work` in a forked process that inherits what is imported, its output in `log`.

    Raises RuntimeError with the last line of the log if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    waits, lets = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(lets)
        if not os.read(waits, 1):  # until its memory at the start is known
            os._exit(1)
        _child(work, log)
    (first, mapped), peak = resident(pid), 0.0
    start = time.monotonic()
    os.write(lets, b"x")
    os.close(waits)
    os.close(lets)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        peak, mapped = map(max, (peak, mapped), resident(pid))
        time.sleep(EVERY)
    if status:
        said = log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise RuntimeError(f"{log}: failed: {said[-1]}")
    return Cost(time.monotonic() - start, first, max(first, peak), mapped)


def _child(work: Callable[[], object], log: Path) -> None:
    status = 1
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(handle, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        work()
        status = 0
    except SystemExit as error:
        status = int(bool(error.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
