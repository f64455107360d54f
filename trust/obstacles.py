"""Obstacles: no space, no rights, no handles, no memory, a network disk that is gone, in front of every kind of artefact.

Each obstacle stands in the way of a real script of the workflow. It has to end with one clear line and leave nothing half
made; mended, a second run has to make what an undisturbed one makes, byte for byte.
"""

import argparse
import codecs
import errno
import gc
import os
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pnapo.refusals import REFUSALS
from pnapo.scripting import ENVIRONMENT
from pnapo.sources import closure, imports
from trust.obstacle_jobs import SCRIPTS, Job, make_jobs
from trust.promise import Promise, record

VARYING = ("compute.json", "speed.jsonl")  # the clock
KILLED = ("killed (SIGKILL)", "run fewer jobs at once")


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


def _cgroup() -> str:
    return "" if os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK) else "needs control groups (v1) and root"


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
    (group / "memory.limit_in_bytes").write_text("4M")
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _group(owner: int) -> Path:
    return Path("/sys/fs/cgroup/memory") / f"pnapo-obstacle-{owner}"


def _no_group(place: Path) -> None:
    _group(os.getpid()).rmdir()


def _refuse(call: str, number: int, part: str = "") -> Callable[[Path, Job], None]:
    def order(place: Path, job: Job) -> None:
        os.environ["REFUSE"] = f"{call} {number} {part or place}"

    return order


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
            needs=_cgroup,
        ),
        Obstacle("stale handle of its output", stale, inside=_refuse("rename", errno.ESTALE), **shim),
        Obstacle(
            "stale handle of its input",
            stale,
            inside=lambda place, job: _refuse("open", errno.ESTALE, job.reads)(place, job),
            **shim,
        ),
        Obstacle("quota, as it is written", quota, inside=_refuse("write", errno.EDQUOT), **shim),
        Obstacle("quota, told by fsync", quota, inside=_refuse("sync", errno.EDQUOT), **shim),
        Obstacle("quota, told by close", quota, inside=_refuse("close", errno.EDQUOT), **shim),
        Obstacle("name too long", _told(errno.ENAMETOOLONG), deep="x" * 300),
    ]


def attempt(job: Job, out: Path, log: Path, inside: Callable[[], None] = lambda: None) -> int:
    """Run a job's script in a fork of this process; its exit status as a shell has it. What it prints goes to `log`."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            for number in (1, 2):
                os.dup2(output, number)
            sys.argv = [job.script, *job.arguments(out)]
            script = runpy.run_path(job.script, run_name="job")
            inside()
            script["scripting"].run(script["main"])
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status >= 0:
        return status
    with open(log, "ab") as end:  # the shell that a rule starts the script with
        subprocess.run(["bash", "-c", f". rules/helpers/job.sh; job sh -c 'exit {128 - status}'"], stderr=end)
    return 128 - status


def files(place: Path) -> dict[str, bytes]:
    """What lies under a final name."""
    found = (path for path in place.rglob("*") if path.is_file() and path.name not in VARYING)
    names = {str(path.relative_to(place)): path for path in found}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not any(part.startswith(".") for part in Path(name).parts)
    }


def wrong(status: int, said: str, obstacle: Obstacle) -> str:
    """What is not right about how a job ended; "" if it is one clear line."""
    lines = said.splitlines() or [""]
    if status == 0:
        return "it succeeded"
    if "Traceback" in said or sum(line.startswith("error: ") for line in lines) != 1:
        return f"not one line, but {lines[-1]!r}"
    missing = [part for part in obstacle.told if part not in lines[-1]]
    return f"{lines[-1]!r} lacks {missing[0]!r}" if missing else ""


def case(obstacle: Obstacle, job: Job, place: Path, log: Path) -> list[str]:
    """What went wrong with one obstacle in front of one job."""
    place.mkdir(parents=True)
    problems = []
    try:
        obstacle.before(place, job)
        status = attempt(job, place / obstacle.deep, log, lambda: obstacle.inside(place, job))
        if found := wrong(status, log.read_text("utf-8", "replace"), obstacle):
            problems.append(found)
        half = [name for name, content in files(place).items() if job.made.get(name) != content]
        left = [path.name for path in place.rglob("*.tmp*")] if status < 128 else []
        problems += [f"left {name}" for name in (*half, *left)]
        obstacle.mend(place)
        again = attempt(job, place, log.with_suffix(".again"))
        if again or files(place) != job.made:
            problems.append(f"mended, it ended with {again}, {sorted(files(place))}")
    finally:
        if os.path.ismount(place):
            subprocess.run(["umount", place], check=True)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--only", nargs="+", default=[""], help="obstacles whose names contain one of these")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pnapo-obstacles-") as temporary:
        work = (args.folder or Path(temporary)).resolve()
        work.chmod(0o755)
        _with_refusals(work)
        for script in SCRIPTS:
            _load(script)
        codecs.lookup("unicode-escape")  # of a library's that nobody else may read, and Jinja needs
        gc.freeze()
        jobs = make_jobs(work, attempt)
        _try_all([o for o in obstacles() if any(part in o.name for part in args.only)], jobs, work)


def _load(script: str) -> None:
    """Import what a script and the modules under it ask for, so that its forks need not (as `pnapo.warm` does)."""
    for source in closure(script, "."):
        wanted = [(module, name) for module, names in imports(source, ".").others for name in ("", *names)]
        if source.startswith("pnapo/"):
            wanted.append((source.removesuffix(".py").removesuffix("/__init__").replace("/", "."), ""))
        for module, name in wanted:
            with suppress(ImportError):
                found = import_module(module)
                if name and not hasattr(found, name):
                    import_module(f"{module}.{name}")


def _with_refusals(work: Path) -> None:
    """Start anew with trust/refuse.c before the C library, if it can be compiled."""
    compiler, library = shutil.which("cc"), work / "refuse.so"
    if "refuse" in os.environ.get("LD_PRELOAD", "") or not compiler or sys.platform != "linux":
        return
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, "trust/refuse.c", "-ldl"], check=True)
    command = [sys.executable, "-m", "trust.obstacles", *sys.argv[1:], "--folder", str(work)]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1", "LD_PRELOAD": str(library)}
    sys.exit(subprocess.run(command, env=environment).returncode)


def _try_all(tried: list[Obstacle], jobs: list[Job], work: Path) -> None:
    count, skipped, problems = 0, [], []
    for obstacle in tried:
        if reason := obstacle.needs():
            skipped.append(f"{obstacle.name} ({reason})")
            continue
        for job in (job for job in jobs if job.name not in obstacle.spares):
            name = f"{obstacle.name}, {job.name}".replace(" ", "-").replace(",", "")
            found = case(obstacle, job, work / "cases" / name, work / f"{name}.log")
            count += 1
            problems += [f"{obstacle.name}, {job.name}: {problem}" for problem in found]
            print(f"{obstacle.name}, {job.name}: {'; '.join(found) or 'ok'}", flush=True)
    kinds = len(tried) - len(skipped)
    figure = f"{count} refusals, {kinds} obstacles before {', '.join(job.name for job in jobs)}"
    figure += f"; NOT RUN: {', '.join(skipped)}" if skipped else ""
    promise = (
        "what the system refuses is one clear line, nothing half-written stays, and mended it makes the same bytes"
    )
    record(
        "obstacles",
        [Promise(promise, figure + "".join(f"; {problem}" for problem in problems), not problems and count > 0)],
    )


if __name__ == "__main__":
    main()
