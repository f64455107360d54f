"""Which GPU a process computes on: each takes the one that fewest others of this user have, and holds it until it ends.

A cluster gives every job GPUs of its own. Without one, jobs side by side would all take the first; here they share a
folder of lock files, a file for each place on each GPU. The system frees a lock when its process dies. Standard library only.
"""

import fcntl
import itertools
import os
import subprocess
from pathlib import Path

from pnapo.warm.protocol import folder

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 60  # seconds for the driver to list the GPUs
_held: list[int] = []  # descriptors of the locks: open as long as this process lives


def visible() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; [] without any."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        listed = [name.strip() for name in named.split(",")]
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), listed))
    try:
        command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.splitlines() if line.startswith("GPU-")]


def lease(count: int = 1) -> list[str]:
    """Take `count` GPUs for this process and those that it starts, and show them no other; returns their names.

    Before CUDA is asked for anything. With fewer GPUs than that, or where several processes were launched (whoever launched
    them has taken theirs), nothing changes. More processes than GPUs share them evenly.
    """
    names = visible()
    if _held or "LOCAL_RANK" in os.environ or len(names) < max(count, 1) or not count:
        return names
    taken = _take(names, count)
    os.environ[VISIBLE] = ",".join(taken)
    return taken


def _take(names: list[str], count: int) -> list[str]:
    """The first free places: the first of every GPU, then the second of every GPU, and so on."""
    locks = Path(folder()) / f"gpus-{os.environ.get('SLURM_JOB_ID', 'here')}"  # a job of SLURM has GPUs of its own
    locks.mkdir(exist_ok=True)
    taken: list[str] = []
    for place in itertools.count():
        for name in names:
            if len(taken) == count:
                return taken
            if name not in taken and _lock(locks / f"{name.replace('/', '-')}.{place}"):
                taken.append(name)


def _lock(path: Path) -> bool:
    """Lock a file for as long as this process lives, if nobody has."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True
