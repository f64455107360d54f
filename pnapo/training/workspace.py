"""The folder a training works in, beside the checkpoint it makes; it survives a kill so that the run can go on."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """A work folder for the checkpoint folder `out`, on the same file system; removed when the block succeeds.

    After a failure it stays, for the next attempt to resume from. If another process is training the same checkpoint
    right now (an orphan job on a cluster), this one gets a private folder and starts from nothing: both make the same
    bytes, and neither spoils the other's.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    shared = out.with_name(f".{out.name}.work")
    lock = _lock(shared)
    if lock is None:
        private = Path(tempfile.mkdtemp(prefix=f".{out.name}.work-", dir=out.parent))
        try:
            yield private
        finally:
            shutil.rmtree(private, ignore_errors=True)
        return
    try:
        yield shared
        shutil.rmtree(shared)
    finally:
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """The descriptor of the folder's lock, or None if another process holds it. The system frees it after a kill."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
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
            if os.path.samestat(os.fstat(descriptor), os.stat(folder / "lock")):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
