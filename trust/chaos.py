"""Kills a workflow's jobs and Snakemake itself at random moments, and starts it again until it has finished.

Afterwards everything has to be, byte for byte, what an undisturbed run of the same configuration made. A job of every script
that a rule calls is hit, but of those that bring files from a network or make the shipped weights anew.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from trust.disturbed import Disturbed, Job
from trust.promise import Promise, record, seeded
from trust.sources import ROOT

CONFIG = Path(__file__).with_name("chaos.yaml")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
GOES_ON = "Killed anywhere, a workflow goes on with the same command, and nothing hangs"
AIMS = JOB, ALONE, GROUP = "a job", "Snakemake alone", "Snakemake and its group"
SHARE = 0.1  # of the kills that every aim and every signal has at least
FIRST = "from the start to the first job"
EVERY = 0.03  # seconds between two looks at what runs
LEFT_OUT = ("fetch", "world")  # files of rules/ that no configuration of minutes runs
PAIRS = 8  # of the data set
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
    """`kills` of one workflow, and more until a job of every script was hit, drawn from a seed, within so many `seconds`."""

    def __init__(
        self,
        wild: Disturbed,
        calm: Disturbed,
        lives: dict[str, float],
        rng: random.Random,
        *,
        kills: int,
        seconds: float,
        bound: float,
    ):
        self.wild, self.made_by, self.lives, self.rng = wild, calm.made_by(), lives, rng
        self.least, self.deadline, self.bound = kills, time.monotonic() + seconds, bound
        self.hit: Counter[str] = Counter()  # kills of each script's jobs
        self.kills: Counter[tuple[str, str]] = Counter()  # kills by aim and signal
        self.starts, self.slowest, self._deck = 0, 0.0, []

    def missing(self) -> list[str]:
        """The scripts of which no job was hit yet."""
        return sorted(set(self.made_by) - set(self.hit))

    def going(self) -> bool:
        """Whether there are kills left. Raises Broken if there are, and no time."""
        if self.kills.total() >= self.least and not self.missing():
            return False
        if time.monotonic() > self.deadline:
            raise Broken(
                f"no time is left after {self.kills.total()} kills; not hit: {', '.join(self.missing()) or 'none'}"
            )
        return True

    def run(self, targets: Sequence[str] = ()) -> None:
        """Start the same command until it succeeds, with a kill each time while there are some left.

        What was hit too late to make the command fail does not count. Raises Broken if a start fails that nobody disturbed, or
        does not end.
        """
        while True:
            going = self.going()
            process, shot = self.wild.again(targets), None
            self.starts += 1
            if going:
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
            raise self._hung(process, "after a kill") from None
        self.slowest = max(self.slowest, time.monotonic() - start)
        return status

    def _hung(self, process: subprocess.Popen, when: str) -> Broken:
        """End a Snakemake that takes too long; what is to be raised then."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Broken(f"Snakemake did not end in {self.bound:.0f} s {when}:\n{self.wild.screen()}")

    def _draw(self) -> tuple[str, signal.Signals]:
        """What is hit next, and how: every combination equally often, jobs twice as often as the rest.

        Once Snakemake has had its half of the kills, jobs alone, while there is a script of which none was hit.
        """
        others = sum(count for (aim, _), count in self.kills.items() if aim != JOB)
        enough = 2 * others >= self.least and bool(self.missing())
        while True:
            if not self._deck:
                self._deck = [(aim, number) for aim in (JOB, JOB, ALONE, GROUP) for number in SIGNALS]
                self.rng.shuffle(self._deck)
            aim, number = self._deck.pop()
            if aim == JOB or not enough:
                return aim, number

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
        seen, start = set[int](), time.monotonic()
        while process.poll() is None:
            if time.monotonic() > start + self.bound:
                raise self._hung(process, "while nothing was killed")
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
        try:
            shell = job.process.parent()  # now: an orphan's parent is another
            time.sleep(moment)
            target = self.wild.behind(job) if whom == "worker" else {"client": job.process, "shell": shell}[whom]
            target.send_signal(number)
        except (psutil.Error, AttributeError):  # it has ended
            return None
        return Shot(JOB, number, moment, job.script, whom)

    def _count(self, shot: Shot) -> None:
        if shot.script:
            self.hit[shot.script] += 1
        self.kills[shot.aim, shot.number.name] += 1
        what = f"{shot.script}'s {shot.whom}" if shot.script else shot.aim
        print(f"kill {self.kills.total()}: {shot.number.name} to {what} after {shot.moment:.2f} s", flush=True)

    def again(self) -> None:
        """When all is made: remove a few outputs, of scripts that were hit least first, and make them under fire again."""
        while self.going():
            scripts = sorted(self.made_by, key=lambda script: (self.hit[script], self.rng.random()))
            chosen = [self.rng.choice(self.made_by[script]) for script in scripts[:AT_ONCE]]
            for output in chosen:
                self.wild.remove(output)
            self.run(chosen)


def families() -> dict[str, str]:
    """Of every script that a rule calls, the file of rules/ that does."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        scripts = re.findall(r"workflow_scripts/(\w+)\.py", path.read_text("utf-8"))
        found |= dict.fromkeys(scripts if path.stem not in LEFT_OUT else (), path.stem)
    return found


def write_pairs(path: Path) -> None:
    """A small data set of image pairs, always the same."""
    import io

    import numpy as np
    import pandas as pd
    from PIL import Image

    drawn = np.random.default_rng(0).integers(0, 256, (2 * PAIRS, 32, 32, 3), dtype=np.uint8)
    images = []
    for pixels in drawn:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        images.append(file.getvalue())
    prompts = [f"a photo of {number} rings" for number in range(PAIRS)]
    pd.DataFrame({"prompt": prompts, "chosen": images[:PAIRS], "rejected": images[PAIRS:]}).to_parquet(
        path, index=False
    )


def watched(calm: Disturbed, seconds: float) -> tuple[dict[str, float], float]:
    """Run undisturbed; returns how long a job of each script lives at most, and how long the run took, in seconds.

    Raises Broken if it fails, or takes longer than `seconds`.
    """
    process, start = calm.again(), time.monotonic()
    began, lives = {}, {}
    while process.poll() is None:
        now = time.monotonic()
        if now > start + seconds:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Broken(f"the undisturbed run did not end in {seconds:.0f} s:\n{calm.screen()}")
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


def promises(
    chaos: Chaos,
    families: Mapping[str, str],
    fault: str,
    expected: dict[str, str],
    found: dict[str, str],
    minutes: float = 0.0,
) -> list[Promise]:
    """What is promised, and what came out. `families`: the scripts that had to be hit, each with its family of rules.

    Every aim and every signal has to have its share of the kills.
    """
    odd = differences(expected, found)
    of = Counter(kind for kind, _ in chaos.kills.elements())
    by = Counter(name for _, name in chaos.kills.elements())
    counted = ", ".join(f"{count} × {name}" for name, count in sorted(by.items()))
    aims = ", ".join(f"{count} of {kind}" for kind, count in sorted(of.items()))
    rare = [one for one in (*AIMS, *(number.name for number in SIGNALS)) if (of + by)[one] < chaos.least * SHARE]
    spared = sorted(set(families) - set(chaos.hit))
    return [
        Promise(
            GOES_ON,
            fault
            or f"{chaos.kills.total()} kills ({counted}; {aims}), {chaos.starts} starts; "
            f"ended after at most {chaos.slowest:.0f} s; {minutes:.0f} minutes in all"
            + (f"; too few of {', '.join(rare)}" if rare else ""),
            not fault and chaos.kills.total() >= chaos.least and not rare,
        ),
        Promise(
            f"Jobs of every rule family but {' and '.join(LEFT_OUT)} can be killed",
            f"{len(families) - len(spared)} of {len(families)} scripts ({', '.join(sorted(set(families.values())))})"
            + "".join(f", not {script}" for script in spared),
            bool(families) and not spared,
        ),
        Promise(
            "After the kills, tables, labels, checkpoints, pairs and images are those of an undisturbed run, byte for byte",
            f"{len(expected) - len(odd)} of {len(expected)} files" + (f"; not {', '.join(odd[:5])}" if odd else ""),
            bool(expected) and not odd,
        ),
    ]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=45, help="how many at least (default: 45)")
    parser.add_argument("--minutes", type=float, default=28, help="how long all may take (default: 28)")
    parser.add_argument("--folder", type=Path, help="work here, and leave it; default: a temporary folder")


def main(log: Callable[[str], None] = print) -> None:
    args, start = seeded(__doc__.splitlines()[0], options), time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which nohup and scripts take away from what they start
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="chaos-"))).absolute()
    calm, wild = Disturbed(folder / "undisturbed", CONFIG), Disturbed(folder / "killed", CONFIG)
    for project in (calm, wild):
        write_pairs(project.folder / "mine.parquet")
    try:
        lives, seconds = watched(calm, 60 * args.minutes)
    except Broken as error:
        log(f"{error}\nleft in {folder}")
        return record("chaos", [Promise(GOES_ON, str(error).splitlines()[0], False)], args.record_in)
    log(f"undisturbed: {seconds:.0f} s, {len(calm.hashes())} files")
    left = start + 60 * args.minutes - time.monotonic()
    limits = {"kills": args.kills, "seconds": left, "bound": max(120.0, 2 * seconds)}
    chaos, fault = Chaos(wild, calm, lives, random.Random(args.seed), **limits), ""
    try:
        chaos.run()
        chaos.again()
        chaos.run()
    except Broken as error:
        fault = str(error).splitlines()[0]
        log(str(error))
    minutes = (time.monotonic() - start) / 60
    found = promises(chaos, families(), fault, calm.hashes(), wild.hashes(), minutes)
    if not args.folder and all(one.holds for one in found):
        shutil.rmtree(folder)
    else:
        log(f"left in {folder}")
    record("chaos", found, args.record_in)


if __name__ == "__main__":
    main()
