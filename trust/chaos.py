"""Kills a workflow's jobs and Snakemake itself at random moments, and starts it again until it has finished.

Afterwards everything has to be, byte for byte, what an undisturbed run of the same configuration made.
"""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from trust.disturbed import Disturbed, Job
from trust.promise import Promise, record, seeded

CONFIG = Path(__file__).with_name("chaos.yaml")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
JOB, ALONE, GROUP = "a job", "Snakemake alone", "Snakemake and its group"
FIRST = "from the start to the first job"
EVERY = 0.03  # seconds between two looks at what runs
AT_ONCE = 6  # outputs removed at once, when all is made and there are kills left


class Broken(Exception):
    """A promise does not hold, and there is no going on."""


class Shot(NamedTuple):
    """A signal that was sent: to whom, which, and how many seconds after the start of Snakemake or of the job."""

    aim: str
    number: signal.Signals
    moment: float
    script: str = ""
    whom: str = ""


class Chaos:
    """The kills of one workflow, drawn from a seed."""

    def __init__(self, wild: Disturbed, calm: Disturbed, lives: dict[str, float], bound: float, rng: random.Random):
        self.wild, self.made_by, self.lives, self.bound, self.rng = wild, calm.made_by(), lives, bound, rng
        self.hit: Counter[str] = Counter()  # kills of each script's jobs
        self.kills: Counter[tuple[str, str]] = Counter()  # kills by aim and signal
        self.starts, self.slowest, self._deck = 0, 0.0, []

    def missing(self) -> list[str]:
        """The scripts of which no job was hit yet."""
        return sorted(set(self.made_by) - set(self.hit))

    def run(self, kills: int, targets: Sequence[str] = ()) -> None:
        """Start the same command until it succeeds, with a kill each time while there are fewer than `kills`, or scripts left.

        What was hit too late to make the command fail does not count. Raises Broken if a start fails that nobody disturbed, or
        does not end.
        """
        while True:
            process, shot = self.wild.again(targets), None
            self.starts += 1
            if self.kills.total() < kills or self.missing():
                shot = self._shoot(process)
            status = self._ended(process)
            if status == 0:
                return
            if not shot:
                raise Broken(f"start {self.starts} failed, though nothing was killed:\n{self.wild.screen()}")
            self._count(shot)

    def _ended(self, process: subprocess.Popen) -> int:
        start = time.monotonic()
        try:
            status = process.wait(self.bound)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Broken(f"Snakemake did not end in {self.bound:.0f} s after a kill:\n{self.wild.screen()}") from None
        self.slowest = max(self.slowest, time.monotonic() - start)
        return status

    def _draw(self) -> tuple[str, signal.Signals]:
        """What is hit next, and how: every combination equally often, jobs twice as often as the rest."""
        if not self._deck:
            self._deck = [(aim, number) for aim in (JOB, JOB, ALONE, GROUP) for number in SIGNALS]
            self.rng.shuffle(self._deck)
        return self._deck.pop()

    def _shoot(self, process: subprocess.Popen) -> Shot | None:
        """Hit what is drawn; None if Snakemake had finished before."""
        aim, number = self._draw()
        if aim == JOB:
            return self._hit_a_job(process, number)
        moment = self.rng.uniform(0, 1.5) * self.lives[FIRST]
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return None
        (os.killpg if aim == GROUP else os.kill)(process.pid, number)
        return Shot(aim, number, moment)

    def _hit_a_job(self, process: subprocess.Popen, number: signal.Signals) -> Shot | None:
        """Hit a job of a script that was not hit yet; once all were, any."""
        seen: set[int] = set()
        while process.poll() is None:
            for job in self.wild.jobs(process):
                if job.process.pid not in seen and (job.script not in self.hit or not self.missing()):
                    shot = self._hit(job, number)
                    if shot:
                        return shot
                seen.add(job.process.pid)
            time.sleep(EVERY)
        return None

    def _hit(self, job: Job, number: signal.Signals) -> Shot | None:
        moment = self.rng.random() ** 3 * self.lives.get(
            job.script, 0.1
        )  # rather early: most live shorter than the longest
        # Below its shell, a job does not hear SIGINT: Snakemake tells it to end.
        whom = "shell" if number == signal.SIGINT else self.rng.choice(("worker", "client", "shell"))
        time.sleep(moment)
        try:
            if whom == "worker":
                self.wild.behind(job).send_signal(number)
            else:
                (job.process.parent() if whom == "shell" else job.process).send_signal(number)
        except (psutil.Error, AttributeError):  # it has ended
            return None
        return Shot(JOB, number, moment, job.script, whom)

    def _count(self, shot: Shot) -> None:
        if shot.script:
            self.hit[shot.script] += 1
        self.kills[shot.aim, shot.number.name] += 1
        what = f"{shot.script}'s {shot.whom}" if shot.script else shot.aim
        print(f"kill {self.kills.total()}: {shot.number.name} to {what} after {shot.moment:.2f} s", flush=True)

    def again(self, kills: int) -> None:
        """When all is made: remove a few outputs, of scripts that were hit least first, and make them under fire again."""
        while self.kills.total() < kills or self.missing():
            before = self.kills.total()
            scripts = sorted(self.made_by, key=lambda script: (self.hit[script], self.rng.random()))
            chosen = [self.rng.choice(self.made_by[script]) for script in scripts[:AT_ONCE]]
            for output in chosen:
                self.wild.remove(output)
            self.run(kills, chosen)
            if self.kills.total() == before and self.starts > 10 * kills:
                raise Broken(f"no job of {', '.join(self.missing())} could be hit")


def watched(calm: Disturbed) -> tuple[dict[str, float], float]:
    """Run undisturbed; returns how long a job of each script lives at most, and how long the run took, in seconds."""
    process, start = calm.again(), time.monotonic()
    began, lives = {}, {}
    while process.poll() is None:
        now = time.monotonic()
        for job in calm.jobs(process):
            lives.setdefault(FIRST, now - start)
            life = now - began.setdefault(job.process.pid, now)
            lives[job.script] = max(life, lives.get(job.script, 0.1))
        time.sleep(EVERY)
    if process.returncode:
        raise Broken(f"the undisturbed run failed:\n{calm.screen()}")
    return lives, time.monotonic() - start


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The files that one run has and the other has not, or has otherwise."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def promises(chaos: Chaos, kills: int, fault: str, expected: dict[str, str], found: dict[str, str]) -> list[Promise]:
    """What is promised, and what came out."""
    odd = differences(expected, found)
    of = Counter(kind for kind, _ in chaos.kills.elements())
    by = Counter(name for _, name in chaos.kills.elements())
    counted = ", ".join(f"{count} × {name}" for name, count in sorted(by.items()))
    aims = ", ".join(f"{count} of {kind}" for kind, count in sorted(of.items()))
    scripts = len(chaos.made_by)
    return [
        Promise(
            "Killed anywhere, a workflow goes on with the same command, and nothing hangs",
            fault
            or f"{chaos.kills.total()} kills ({counted}; {aims}), {chaos.starts} starts; "
            f"ended after at most {chaos.slowest:.0f} s",
            not fault and chaos.kills.total() >= kills,
        ),
        Promise(
            "Jobs of every rule family can be killed",
            f"{scripts - len(chaos.missing())} of {scripts} scripts" + "".join(f", not {s}" for s in chaos.missing()),
            not chaos.missing(),
        ),
        Promise(
            "After the kills, tables, labels, checkpoints, pairs and images are those of an undisturbed run, byte for byte",
            f"{len(expected) - len(odd)} of {len(expected)} files" + (f"; not {', '.join(odd[:5])}" if odd else ""),
            bool(expected) and not odd,
        ),
    ]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=45, help="how many at least")
    parser.add_argument("--folder", type=Path, help="work here, and leave it; default: a temporary folder")


def main(log: Callable[[str], None] = print) -> None:
    args = seeded(__doc__.splitlines()[0], options)
    folder = args.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    calm, wild = Disturbed(folder / "undisturbed", CONFIG), Disturbed(folder / "killed", CONFIG)
    lives, seconds = watched(calm)
    log(f"undisturbed: {seconds:.0f} s, {len(calm.hashes())} files")
    chaos, fault = Chaos(wild, calm, lives, max(120.0, 2 * seconds), random.Random(args.seed)), ""
    try:
        chaos.run(args.kills)
        chaos.again(args.kills)
        chaos.run(0)
    except Broken as error:
        fault = str(error).splitlines()[0]
        log(str(error))
    found = promises(chaos, args.kills, fault, calm.hashes(), wild.hashes())
    if not args.folder and all(one.holds for one in found):
        shutil.rmtree(folder)
    else:
        log(f"left in {folder}")
    record("chaos", found, args.record_in)


if __name__ == "__main__":
    main()
