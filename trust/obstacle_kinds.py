"""The obstacles: what is put in the way of a job, what it has to say of it, and how it is mended."""

import errno
import os
import resource
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pnapo.refusals import REFUSALS
from trust.obstacle_jobs import Job

KILLED = ("killed (SIGKILL)", "run fewer jobs at once")
CUT = ("cut short or has gone", "(SIGBUS)", "look at the disk")
MAPPED = ("embeddings",)  # a job whose input is mapped and not read: a model's weights have no hash to compare
READ_WHOLE = ("table", "pair set", "labels", "checkpoint", "scores", "report")  # jobs that map no input


def nothing(*_: object) -> None:
    """What an obstacle does where it has nothing to do."""


@dataclass
class Obstacle:
    """What stands in the way of the jobs whose output is a folder `place`."""

    name: str
    told: tuple[str, ...]  # each is in the line
    before: Callable[[Path, Job], None] = nothing  # what is done to the place, before the job
    inside: Callable[[Path, Job], None] = nothing  # in the job's own process, when its code is loaded
    mend: Callable[[Path], None] = nothing
    needs: Callable[[], str] = lambda: ""  # why it cannot be tried here, if it cannot
    deep: str = ""  # a folder below the place that the output lies in
    spares: tuple[str, ...] = ()  # the jobs that it would not stop


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _preloaded() -> str:
    return "" if "refuse" in os.environ.get("LD_PRELOAD", "") else "needs a C compiler and Linux"


def _grouped() -> str:
    return "" if _groups() else "needs root and control groups of memory"


def _groups() -> tuple[Path, str] | None:
    """Where control groups of memory are made, and the name of their limit; None if they cannot be made."""
    one, two = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    if os.access(one / "cgroup.procs", os.W_OK):
        return one, "memory.limit_in_bytes"
    with suppress(OSError):
        if "memory" in (two / "cgroup.subtree_control").read_text().split() and os.access(
            two / "cgroup.procs", os.W_OK
        ):
            return two, "memory.max"
    return None


def _mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def _remount(options: str) -> Callable[[Path], None]:
    return lambda place: subprocess.run(["mount", "-o", f"remount,{options}", place], check=True) and None


def _half(place: Path, job: Job) -> None:
    """A disk that takes half of what the job writes."""
    free = job.size // 2 // 4096 * 4096
    _mount(place, f"size={free + 8192}")
    (place / ".other").write_bytes(bytes(8192))


def _few_handles(place: Path, job: Job) -> None:
    """As many as the process has open, and one more."""
    highest = max(map(int, os.listdir("/proc/self/fd")))
    for number in range(highest):  # no gaps left below
        if not os.path.exists(f"/proc/self/fd/{number}"):
            os.open("/dev/null", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 1))


def _no_more_memory(place: Path, job: Job) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _small_group(place: Path, job: Job) -> None:
    """A control group of four megabytes: the system's own killer ends what needs more. Nobody else is in it."""
    group = _group(os.getppid())
    group.mkdir()
    (group / _groups()[1]).write_text("4M")
    if (group / "memory.swap.max").exists():
        (group / "memory.swap.max").write_text("0")
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _group(owner: int) -> Path:
    return _groups()[0] / f"pnapo-obstacle-{owner}"


def _no_time(place: Path, job: Job) -> None:
    """Of the CPU time that is allowed nothing is left."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allowed = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    while time.process_time() < allowed - 0.005:
        pass


def _refuse(call: str, number: int, part: str = "") -> Callable[[Path, Job], None]:
    def order(place: Path, job: Job) -> None:
        os.environ["REFUSE"] = f"{call} {number} {part or place}"

    return order


def _refuse_input(call: str) -> Callable[[Path, Job], None]:
    return lambda place, job: _refuse(call, errno.ESTALE, job.reads)(place, job)


def _nobody(place: Path, job: Job) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def _told(number: int) -> tuple[str, str]:
    what, remedy = REFUSALS[number]
    return what.partition("{")[0], remedy


def obstacles() -> list[Obstacle]:
    """All of them. A mended tmpfs stays mounted until the case is over."""
    stale, quota, space = (_told(number) for number in (errno.ESTALE, errno.EDQUOT, errno.ENOSPC))
    larger = _remount("size=64m")
    shim = {"needs": _preloaded}
    return [
        Obstacle("full disk", (*space, "free)"), before=_half, mend=larger, needs=_root),
        Obstacle(
            "no files left",
            (*space, "no more files fit"),
            before=lambda place, job: _mount(place, "size=64m,nr_inodes=1"),
            mend=_remount("nr_inodes=1000"),
            needs=_root,
        ),
        Obstacle(
            "read-only disk",
            _told(errno.EROFS),
            before=lambda place, job: _mount(place, "size=64m,ro"),
            mend=_remount("rw"),
            needs=_root,
        ),
        Obstacle("no permission", _told(errno.EACCES), inside=_nobody, needs=_root),
        Obstacle(
            "file size limit",
            _told(errno.EFBIG),
            inside=lambda place, job: resource.setrlimit(resource.RLIMIT_FSIZE, (job.largest // 2,) * 2),
        ),
        Obstacle("too few handles", _told(errno.EMFILE), inside=_few_handles),
        Obstacle(
            "no memory", ("out of memory", "`mem_mb`"), inside=_no_more_memory, spares=("table", "pair set", "report")
        ),
        Obstacle(
            "killed for memory",
            KILLED,
            inside=_small_group,
            mend=lambda place: _group(os.getpid()).rmdir(),
            needs=_grouped,
        ),
        Obstacle("no time", ("out of CPU time (SIGXCPU)", "(ulimit -t)"), inside=_no_time),
        Obstacle("stale handle of its output", stale, inside=_refuse("rename", errno.ESTALE), **shim),
        Obstacle("stale handle of its output, by fsync", stale, inside=_refuse("sync", errno.ESTALE), **shim),
        Obstacle("stale handle of its input", stale, inside=_refuse_input("open"), **shim),
        Obstacle("stale handle of its input, by read", stale, inside=_refuse_input("read"), spares=MAPPED, **shim),
        Obstacle("input cut short while it is read", CUT, inside=_refuse_input("map"), spares=READ_WHOLE, **shim),
        Obstacle("quota, as it is written", quota, inside=_refuse("write", errno.EDQUOT), **shim),
        Obstacle("quota, told by fsync", quota, inside=_refuse("sync", errno.EDQUOT), **shim),
        Obstacle("quota, told by close", quota, inside=_refuse("close", errno.EDQUOT), **shim),
        Obstacle("name too long", _told(errno.ENAMETOOLONG), deep="x" * 300),
    ]
