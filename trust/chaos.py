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

import psutil

from trust.disturbed import Disturbed, Job
from trust.promise import Promise, record, seeded

CONFIG = Path(__file__).with_name("chaos.yaml")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ALONE, GROUP = "Snakemake alone", "Snakemake and its group"
EVERY = 0.03  # seconds between two looks at what runs
AT_ONCE = 6  # outputs removed at once, when all is made and there are kills left


class Broken(Exception):
    """A promise does not hold, and there is no going on."""


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

        Raises Broken if a start fails that nobody disturbed, or does not end.
        """
        while True:
            process, hit = self.wild.start(targets), False
            self.starts += 1
            if self.kills.total() < kills or self.missing():
                hit = self._kill_one(process)
            status = self._ended(process)
            if status == 0:
                return
            if not hit:
                raise Broken(f"start {self.starts} failed, though nothing was killed:\n{self.wild.screen()}")

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
            self._deck = [(aim, number) for aim in ("", "", ALONE, GROUP) for number in SIGNALS]
            self.rng.shuffle(self._deck)
        return self._deck.pop()

    def _kill_one(self, process: subprocess.Popen) -> bool:
        """Hit what is drawn; whether something was hit before Snakemake had finished."""
        aim, number = self._draw()
        if not aim:
            return self._kill_job(process, number)
        moment = self.rng.uniform(0, 1.5) * self.lives["to the first job"]
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return False
        (os.killpg if aim == GROUP else os.kill)(process.pid, number)
        self._tell(aim, number, moment)
        return True

    def _kill_job(self, process: subprocess.Popen, number: signal.Signals) -> bool:
        """Hit the next job of a script that was hit least."""
        seen: set[int] = set()
        while process.poll() is None:
            for job in self.wild.jobs(process):
                if job.process.pid not in seen:
                    seen.add(job.process.pid)
                    if (not self.hit[job.script] or not self.missing()) and self._hit(job, number):
                        return True
            time.sleep(EVERY)
        return False

    def _hit(self, job: Job, number: signal.Signals) -> bool:
        moment = self.rng.random() * self.lives.get(job.script, 0.1)
        whom = self.rng.choice(("the process that works", "the one it answers to", "the shell"))
        time.sleep(moment)
        try:
            if whom == "the process that works":
                self.wild.behind(job).send_signal(number)
            else:
                (job.process.parent() if whom == "the shell" else job.process).send_signal(number)
        except psutil.Error:  # it has ended
            return False
        self.hit[job.script] += 1
        self._tell(f"{job.script} ({whom})", number, moment)
        return True

    def _tell(self, aim: str, number: signal.Signals, moment: float) -> None:
        kind = aim if aim in (ALONE, GROUP) else "a job"
        self.kills[kind, number.name] += 1
        print(f"kill {self.kills.total()}: {number.name} to {aim} after {moment:.2f} s", flush=True)

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
    process, start = calm.start(), time.monotonic()
    began, lives = {}, {}
    while process.poll() is None:
        now = time.monotonic()
        for job in calm.jobs(process):
            lives.setdefault("to the first job", now - start)
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
    record("chaos", found)


if __name__ == "__main__":
    main()
