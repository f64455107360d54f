"""The folder that a long job works in, beside what it makes; it survives a kill, so that the job can go on."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "lock"


@contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """A hidden work folder for the artefact `out`, on the same file system; removed when the block succeeds.

    After a failure it stays, unless it is empty, for the next attempt to go on from. If another process is making the same
    artefact right now (an orphan job on a cluster), this one gets a private folder and starts from nothing: both make the
    same bytes, and neither spoils the other's.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    shared = out.with_name(f".{out.name}.work")
    lock = _lock(shared)
    if lock is None:
        private = Path(tempfile.mkdtemp(prefix=f"{shared.name}-", dir=out.parent))
        while lock is None:  # whoever has just finished may be looking whether this folder is in use
            lock = _lock(private)
        try:
            yield private
        finally:
            _remove(private, lock)
        return
    try:
        yield shared
    except BaseException:
        if [entry.name for entry in shared.glob("*")] == [LOCK]:
            _remove(shared, lock)
        else:
            os.close(lock)
        raise
    _remove(shared, lock)
    _remove_left(shared)


def _lock(folder: Path) -> int | None:
    """The descriptor of the folder's lock, or None if another process holds it. The system frees it after a kill."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
        except FileNotFoundError:  # the holder finished and removed the folder just now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks
            return descriptor
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(folder / LOCK)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _remove(folder: Path, lock: int) -> None:
    """Remove a folder whose lock is held. NFS keeps what is open in it until it is closed."""
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    with suppress(OSError):  # it is gone, or another process works in it already
        folder.rmdir()


def _remove_left(shared: Path) -> None:
    """Remove the private folders of processes that were killed."""
    for folder in [entry for entry in shared.parent.iterdir() if entry.name.startswith(f"{shared.name}-")]:
        lock = _lock(folder)
        if lock is not None:
            _remove(folder, lock)
