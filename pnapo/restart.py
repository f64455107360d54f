"""A workflow that was killed goes on when it is started again, with the same command; one that is told to end, ends.

A killed Snakemake leaves its lock on the folder and, without a cluster, its running jobs. Every run writes down who it is, in
.snakemake/owners; a later one that finds its owner certainly gone ends its jobs and removes its lock.
"""

import atexit
import fcntl
import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from pnapo.errors import UserError
from pnapo.owner import PATIENCE, VARIABLE, Owner

OWNERS = Path(".snakemake/owners")
LOCKS = Path(".snakemake/locks")
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp(\..*)?")  # as `pnapo.artifacts.atomic_path` calls them
Log = Callable[[str], None]


def take_over(log: Log = print) -> None:
    """To be called by a run in this folder before anything is planned: it is the owner of all jobs from here on.

    Ends the jobs of runs that were killed, and removes their lock if no other run may be at work. Raises UserError if the
    folder cannot be written.
    """
    own = Owner.this(os.getcwd())
    os.environ[VARIABLE] = str(own)
    end_orphans(own.folder, log)
    try:
        with _alone():
            record = OWNERS / f"{own.pid}-{uuid4().hex[:8]}.json"
            _write(record, f"{own}\n")
            atexit.register(_forget, record, own)
            _remove_stale_locks({path: owner for path, owner in _owners().items() if owner != own}, log)
    except OSError as error:
        raise UserError(f"{OWNERS}: cannot be written ({error.strerror}); Snakemake needs {OWNERS.parent}") from None


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all: one that is cut off would be taken for a run of which nothing is known."""
    temporary = path.with_suffix(".new")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def forget() -> None:
    """To be called by `snakemake --unlock`: whoever calls it knows that no other run is at work."""
    for path, owner in _owners().items():
        if owner is None or owner.gone() is not False:
            path.unlink(missing_ok=True)


def _forget(record: Path, own: Owner) -> None:
    if os.getpid() == own.pid:  # and not in a fork
        (Path(own.folder) / record).unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else registers or removes locks meanwhile (where the file system knows locks)."""
    OWNERS.mkdir(parents=True, exist_ok=True)
    with open(OWNERS / "lock", "w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _owners() -> dict[Path, Owner | None]:
    """The runs that are, or were when they were killed, at work here; None where a record is damaged."""
    found = {}
    for path in sorted(OWNERS.glob("*.json")):
        with suppress(FileNotFoundError):  # a run that has just ended
            found[path] = Owner.parse(path.read_text("utf-8", "replace"))
    return found


def _remove_stale_locks(others: dict[Path, Owner | None], log: Log) -> None:
    locks = sorted(LOCKS.glob("*.lock"))
    gone = [path for path, owner in others.items() if owner and owner.gone()]
    rest = [(path, owner) for path, owner in others.items() if path not in gone]
    since = min((path.stat().st_mtime for path in gone), default=None)
    stale = [] if since is None or rest else [lock for lock in locks if lock.stat().st_mtime >= since]
    if stale:
        pids = ", ".join(str(others[path].pid) for path in gone)
        log(f"Removing the lock of a Snakemake that was killed (process {pids})")
        for lock in stale:
            lock.unlink(missing_ok=True)
    for path, owner in rest if locks else ():
        if owner is None or owner.gone() is None:
            where = f"process {owner.pid} on {owner.host}" if owner else f"an unknown process ({path})"
            log(f"This folder may be locked by {where}; if it runs no more, `snakemake --unlock`, then start again")
        else:
            log(f"Another Snakemake is at work in this folder: process {owner.pid}")
    if not rest:
        for path in gone:
            path.unlink(missing_ok=True)


def orphans(folder: str) -> list[Any]:
    """The processes (psutil's) of jobs in `folder` whose owner was killed.

    Those of other SLURM jobs, which run here where a cluster is one machine, are left to `pnapo.orphans`.
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            owner = Owner.parse(environment.get(VARIABLE))
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue
        if environment.get("SLURM_JOB_ID") != os.environ.get("SLURM_JOB_ID"):
            continue
        if owner and owner.folder == folder and owner.gone() and process.pid != os.getpid():
            found.append(process)
    return found


def end_orphans(folder: str, log: Log = print) -> None:
    """End the jobs that a killed run left, and wait until they have ended: what they have finished is kept.

    One that even SIGKILL does not end in a minute (it hangs in a disk that is gone) is left: it spoils no file.
    """
    found = orphans(folder)
    if not found:
        return
    log(f"Ending {len(found)} processes that a killed Snakemake left: {', '.join(str(p.pid) for p in found)}")
    told, end = set(), time.monotonic() + PATIENCE
    while found and time.monotonic() < end + 60:
        late = time.monotonic() > end
        for process in found:
            if late or process not in told:
                told.add(process)
                _signal(process, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.2)
        found = orphans(folder)


def _signal(process: Any, number: int) -> None:
    import psutil

    with suppress(psutil.Error):
        process.send_signal(number)


def sweep(results: Path | str) -> None:
    """Remove the temporary files that killed jobs left below `results`; those that somebody here is writing stay.

    To be called by a run that has not started any job yet. With another run at work in this folder, nothing.
    """
    own = Owner.this(os.getcwd())
    if any(owner != own for owner in _owners().values()):
        return
    left = [Path(at, name) for at, _, names in os.walk(results) for name in names if TEMPORARY.fullmatch(name)]
    used = _open_files() if left else set()
    for path in left:
        if str(path.resolve()) not in used:
            path.unlink(missing_ok=True)


def _open_files() -> set[str]:
    """The files that this user's processes on this machine have open."""
    import psutil

    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            found.update(file.path for file in process.open_files())
    return found


def end_orderly(scheduler: Any, processes: Callable[[], list[int]], log: Log = print) -> None:
    """From now on, SIGTERM, SIGINT and SIGHUP make the scheduler cancel at its next turn; running jobs are told to end.

    Snakemake's own handler takes a lock that the interrupted code may hold, and waits for running jobs for ever. Here, the
    handler only wakes a thread. `processes` are the numbers of the jobs' shells; jobs that have not ended after PATIENCE, or at
    a second signal, are killed. Does nothing if this Snakemake's scheduler is another than the one known here.
    """
    turn = getattr(scheduler, "_open_jobs", None)
    if turn is None or threading.current_thread() is not threading.main_thread():
        return
    asked = threading.Event()

    def acquire() -> None:
        turn.acquire()
        if asked.is_set():
            raise KeyboardInterrupt

    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def wake(number: int, frame: object) -> None:
        with suppress(BlockingIOError):
            os.write(writing, b".")

    def end() -> None:
        os.read(reading, 1)
        log("Told to end: running jobs are told too; what they have finished is kept")
        asked.set()
        turn.release()
        _end_jobs(processes, reading)

    scheduler._open_jobs = SimpleNamespace(acquire=acquire, release=turn.release)
    threading.Thread(target=end, name="end", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, wake)


def _end_jobs(processes: Callable[[], list[int]], reading: int) -> None:
    """Tell the jobs below these shells to end, those that start late too, until this process itself ends."""
    import psutil

    told, end = set(), time.monotonic() + PATIENCE
    while True:
        late = time.monotonic() > end
        for pid in processes():
            try:
                shell, session = psutil.Process(pid), os.getsid(pid)
                below = [child for child in shell.children(recursive=late) if os.getsid(child.pid) == session]
            except (psutil.Error, ProcessLookupError):
                continue
            for process in [*below, shell] if late else below or [shell]:  # a shell ends after its job
                if late or process not in told:
                    told.add(process)
                    _signal(process, signal.SIGKILL if late else signal.SIGTERM)
        if select.select([reading], [], [], 0.5)[0]:
            os.read(reading, 512)
            end = 0.0
