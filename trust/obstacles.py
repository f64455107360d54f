"""Obstacles: no space, no rights, no handles, no memory, a network disk that is gone, in front of every kind of artefact.

Each obstacle stands in the way of a real script of the workflow. It has to end with one clear line and leave nothing half
made; mended, a second run has to make what an undisturbed one makes, byte for byte.
"""

import argparse
import codecs
import gc
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

from pnapo.scripting import ENVIRONMENT
from pnapo.sources import closure, imports
from trust.obstacle_jobs import SCRIPTS, Job, make_jobs
from trust.obstacle_kinds import Obstacle, obstacles
from trust.promise import Promise, arguments, record

VARYING = ("compute.json", "speed.jsonl")  # the clock


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


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, help="keep all in a new folder below it (default: a temporary one)")
    parser.add_argument("--only", nargs="+", default=[""], help="obstacles whose names contain one of these")


def main() -> None:
    args = arguments(__doc__, options)
    _with_refusals()
    with ExitStack() as stack:
        if args.folder:
            args.folder.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix="obstacles-", dir=args.folder)).resolve()
        else:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pnapo-obstacles-"))).resolve()
        work.chmod(0o755)
        for script in SCRIPTS:
            _load(script)
        codecs.lookup("unicode-escape")  # of a library's that nobody else may read, and Jinja needs
        gc.freeze()
        jobs = make_jobs(work, attempt)
        chosen = [obstacle for obstacle in obstacles() if any(part in obstacle.name for part in args.only)]
        record("obstacles", _try_all(chosen, jobs, work), args.record_in)


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


def _with_refusals() -> None:
    """Start anew with trust/refuse.c before the C library, if it can be compiled."""
    compiler = shutil.which("cc")
    if "refuse" in os.environ.get("LD_PRELOAD", "") or not compiler or sys.platform != "linux":
        return
    with tempfile.TemporaryDirectory(prefix="refuse-") as folder:
        library = f"{folder}/refuse.so"
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, "trust/refuse.c", "-ldl"], check=True)
        command = [sys.executable, "-m", "trust.obstacles", *sys.argv[1:]]
        environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1", "LD_PRELOAD": library}
        status = subprocess.run(command, env=environment).returncode
    sys.exit(status)


def _try_all(tried: list[Obstacle], jobs: list[Job], work: Path) -> list[Promise]:
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
    kinds = f"{len(tried) - len(skipped)} of {len(tried)} obstacles before {', '.join(job.name for job in jobs)}"
    told = "what the system refuses is one clear line, nothing half-written stays, and mended it makes the same bytes"
    promises = [Promise(told, "; ".join([f"{count} refusals, {kinds}", *problems]), not problems and count > 0)]
    if skipped:
        promises.append(Promise("the same of obstacles that need more than there is here", "; ".join(skipped), None))
    return promises


if __name__ == "__main__":
    main()
