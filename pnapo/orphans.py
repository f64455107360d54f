"""What a Snakemake that was killed left in SLURM's queue. Standard library only.

Snakemake does not find such jobs again: it would start them once more beside themselves. Nothing they write can be
spoilt by that (every file is renamed when it is whole), but two jobs would spend the time of one.
"""

import getpass
import subprocess
import time
from collections.abc import Callable

NAME = "pnapo_"  # jobs' names begin with it (slurm-jobname-prefix in slurm/config.yaml)
PATIENCE = 120  # seconds for cancelled jobs to end


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def orphans(folder: str) -> list[str]:
    """The ids of jobs in the queue that a workflow in `folder` has submitted; [] without a SLURM that answers."""
    try:
        queue = _ask("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%j|%Z")
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split("|", 2) for line in queue.splitlines()]
    return [job for job, name, where in rows if name.startswith(NAME) and where == folder]


def cancel_orphans(folder: str, log: Callable[[str], None] = print) -> None:
    """Cancel jobs that an earlier workflow in `folder` left, and wait until they have ended and freed their work.

    To be called by a workflow that holds the folder's lock and has submitted nothing yet: then nobody waits for them.
    """
    left = orphans(folder)
    if not left:
        return
    log(f"Cancelling {len(left)} SLURM jobs that a killed Snakemake left in the queue: {', '.join(left)}")
    _ask("scancel", *left)
    end = time.monotonic() + PATIENCE
    while orphans(folder) and time.monotonic() < end:
        time.sleep(1)
