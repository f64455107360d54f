"""Which process a job works for, and whether that process is certainly gone. Standard library only on Linux.

A process is known by its machine (host, machine id and process namespace), the machine's boot, its number and its start. So a
number that another process has by now is not taken for it, and of another machine's processes nothing is claimed.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

VARIABLE = "PNAPO_JOB_OF"  # in the environment of every job of a local run: its owner
EVERY = 2  # seconds between two looks at the owner
PATIENCE = 600  # seconds for a job that was told to end: a training ends a step and saves a state


@dataclass(frozen=True)
class Owner:
    """A process that jobs work for, in the folder of its workflow."""

    host: str
    machine: str
    namespace: str
    boot: str
    pid: int
    started: str
    folder: str

    @classmethod
    def this(cls, folder: str) -> "Owner":
        """This process, as the owner of jobs in `folder`."""
        return cls(*_machine(), pid=os.getpid(), started=_started(os.getpid()) or "", folder=folder)

    @classmethod
    def parse(cls, text: str | None) -> "Owner | None":
        """The owner that `str` wrote down; None if it is none."""
        try:
            found = cls(**json.loads(text or ""))
        except (ValueError, TypeError):
            return None
        return found if isinstance(found.pid, int) else None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def gone(self) -> bool | None:
        """Whether the process has ended; None if this machine cannot tell."""
        *place, boot = _machine()
        if place != [self.host, self.machine, self.namespace]:
            return None
        return boot != self.boot or _started(self.pid) != self.started


@cache
def _machine() -> tuple[str, str, str, str]:
    """Host, machine id, process namespace and boot; what a system does not tell is empty."""

    def first(path: str) -> str:
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError:
            return ""

    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return socket.gethostname(), first("/etc/machine-id"), namespace, first("/proc/sys/kernel/random/boot_id")


def _started(pid: int) -> str | None:
    """When a process started, in the system's own count; None if there is no such process, or it has ended."""
    if sys.platform != "linux":
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        except psutil.Error:
            return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def end_with_owner() -> None:
    """From now on, end this process as by SIGTERM when its owner is gone: nobody would record what it makes.

    Without an owner on this machine, nothing.
    """
    owner = Owner.parse(os.environ.get(VARIABLE))
    if owner is None or owner.gone() is None:
        return

    def watch() -> None:
        while not owner.gone():
            time.sleep(EVERY)
        print("the Snakemake that this job works for is gone: ending", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="owner", daemon=True).start()
