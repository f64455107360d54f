"""One attempt at a run: from the last state in its work folder (or from step 0) to the last step, to trouble that stops it, or
until it is asked to end."""

import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from pnapo.artifacts import sha256
from pnapo.config.schema import Watch
from pnapo.errors import Terminated, UserError
from pnapo.processes import asked_to_end
from pnapo.training.checkpoint import SNAPSHOTS
from pnapo.training.log import JsonLines, read_log
from pnapo.training.state import (
    KEPT,
    damaged_parts,
    drop_other_parts,
    load_state,
    parts_folder,
    parts_of_rank,
    save_state,
    sha256_of_head,
)
from pnapo.training.step import Learner
from pnapo.training.tracker import Follower
from pnapo.watch import NOT_FINITE, Watcher

Log = Callable[[str], None]
LOGS = ("train_log.jsonl", "speed.jsonl")  # what two identical runs share, and the clock
ENDING, TROUBLE = 1, 2  # why a session stops before the last step; the higher goes before
BACK = 4  # weights to fall back to: a window apart, they reach back further than what any detector looks at


class Stopped(NamedTuple):
    """Of a training that trouble has stopped: steps in the log, and whose weights it falls back to, in which folder."""

    after: int
    step: int
    weights: Path


class Session:
    """The steps of a learner, with their logs, the snapshots that the run keeps, and states to go on from.

    `key` is the hash of everything that the training is made from. What is watched for is said when it appears; `watch` says
    whether it stops the session. Raises UserError if the processes of the training do not see the same state.
    """

    stopped: Stopped | None = None

    def __init__(self, learner: Learner, settings: dict[str, Any], key: str, work: Path, watch: Watch, log: Log):
        self.watch, self.watcher, self.kept = watch, Watcher(watch, settings), work / KEPT
        self.learner, self.run, self.crew, self.meter = learner, learner.run, learner.crew, learner.meter
        self.key, self.file, self.snapshots, self.log = key, work / "state.pt", work / SNAPSHOTS, log
        state = load_state(self.file, self.key, log, split=learner.policy.split)
        # Before anything is read together: a process that does not see the state yet would leave the others waiting.
        self.crew.require_same((self.key, state and state["step"]), "settings, pairs and state of the training")
        if state and "parts" in state:
            mine = self.crew.share(len(state["parts_sha256"]))
            for damaged in filter(None, self.crew.all(damaged_parts(work, state, mine))):
                log(f"{damaged}; starting from step 0")
                state = None
        self.start = state["step"] if state else 0
        if state:
            log(f"resuming at step {state['step']}")
            if "parts" in state:
                learner.load_parts(work / state["parts"])
            else:
                learner.restore(state)
            self.meter.resume(state["cost"])
        self.proofs: dict[str, str] = state["proofs"] if state else {}  # SHA-256 of kept weights, by path from `work`
        # What was kept after the state, or by an attempt that cannot go on, is not this one's.
        for folder in (self.kept, self.snapshots) if self.crew.first else ():
            for name in filter(lambda name: int(name) > self.start, _names(folder)):
                shutil.rmtree(folder / name)
        offsets = state["offsets"] if state else {}
        self.logs = [JsonLines(work / name, offsets.get(name, 0)) for name in LOGS if self.crew.first]
        self.watcher.begin(learner.batches.pairs.gap.tolist())
        if state and self.crew.first:
            self.watcher.follow(read_log(work / LOGS[0]))
        for finding in self.watcher.findings:
            log(finding.line())

    def optimize(self, follower: Follower | None = None) -> dict[str, Any]:
        """Run all steps that are left, or those before trouble (then `stopped` is set), and return what it cost.

        A signal to end lets the step that it meets end; then a state is saved and Terminated raised, in every process. Raises
        UserError if trouble stops the training and there are no weights from before it.
        """
        run, files = self.run, (*self.logs, *([follower] if follower else []))
        if self.crew.highest(self.watch.on_trouble == "stop" and bool(self.watcher.findings)):  # the first knows them
            self._fall_back()
        with asked_to_end() as asked, ExitStack() as closing:
            for file in files:
                closing.callback(file.close)
            for step in range(self.start, 0 if self.stopped else run.steps):
                fate = self._step(step, follower)
                fate = self.crew.highest(max(fate, ENDING if asked() else 0))
                if fate == TROUBLE:
                    self._fall_back()
                    break
                self._keep_weights(step + 1)
                if fate == ENDING or (step + 1) % run.checkpoint_every == 0 or step + 1 == run.steps:
                    self._save(step + 1)
                if fate == ENDING:
                    self.crew.accelerator.wait_for_everyone()  # the first that ends has the others ended
                    number = asked() or signal.SIGTERM
                    raise Terminated(
                        f"ended by {signal.Signals(number).name} after step {step + 1} of {run.steps}; its state is saved, and "
                        "the same training goes on from there when it is started again",
                        number,
                    )
        reference, steps = self.learner.reference, self.stopped.after if self.stopped else run.steps
        none = {"reference_passes": 0, "shared_reference_passes": 0}
        passes = reference.passes(steps * run.batch * run.accumulation) if reference else none
        return {**self.meter.report(), **passes}

    def _step(self, step: int, follower: Follower | None) -> int:
        """One step and its lines of the logs; TROUBLE if it has to be the last."""
        run, began = self.run, time.perf_counter()
        line = self.learner.step(step)
        speed = run.batch * run.accumulation / (time.perf_counter() - began)
        found = self.watcher.add(line) if self.crew.first else []
        for finding in found:
            self.log(finding.line())
        if any(finding.name == NOT_FINITE for finding in found):
            return TROUBLE
        lines = (line, {"step": step, "pairs_per_s": round(speed, 3)})
        for file, content in zip(self.logs, lines):
            file.append(content)
        if follower:
            follower.add(*lines)
        if found and self.watch.on_trouble == "stop":
            return TROUBLE
        if (step + 1) % max(1, run.steps // 20) == 0 or step + 1 == run.steps:
            self.log(_progress(line, run.steps, speed))
        return 0

    def _keep_weights(self, step: int) -> None:
        """Keep the weights after so many steps, if they are a snapshot, or some to fall back to."""
        if step in self.run.snapshots:
            self.keep(self.snapshots / str(step))
        if self.watch.on_trouble == "stop" and step % max(self.watch.window, self.run.steps // 20) == 0:
            self.keep(self.kept / str(step))
            for old in sorted(map(int, _names(self.kept)))[:-BACK] if self.crew.first else ():
                shutil.rmtree(self.kept / str(old))
                self._forget(self.kept / str(old))

    def _fall_back(self) -> None:
        """Choose the last weights from before the trouble, for all processes. Raises UserError if there are none."""
        found, problem = None, ""
        if self.crew.first:
            findings, stop = self.watcher.findings, self.watch.on_trouble == "stop"
            # With `stop`, there are several if they came with one step, or to a session before that was only warned.
            diverged = findings[-1].name == NOT_FINITE
            trouble = findings[-1] if diverged else min(findings, key=lambda finding: finding.since)
            folders = [folder / name for folder in (self.kept, self.snapshots) for name in _names(folder)]
            since = min(finding.since for finding in findings)
            good = [folder for folder in folders if int(folder.name) <= since]
            if good and stop:
                after = len(self.watcher.rows) - diverged  # a line of the log cannot hold that
                weights = max(good, key=lambda folder: int(folder.name))
                found = Stopped(after, int(weights.name), weights)
                self.log(f"stopped after step {after}; the checkpoint holds the weights of step {found.step}")
            problem = f"step {trouble.step}: {trouble.text}"
            if stop and trouble.step and len(self.watcher.rows) == self.start:  # it was only warned, and kept none
                problem += f"; to train from step 0 instead, remove {self.file.parent}"
        self.stopped, problem = self.crew.told((found, problem))
        if not self.stopped:
            raise UserError(problem)

    def keep(self, folder: Path) -> None:
        """Write the weights as they are now into a folder that holds nothing else."""
        self.learner.save_weights(empty(folder) if self.crew.first else None)
        self._forget(folder)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()) if self.crew.first else ():
            self.proofs[self._place(file)] = sha256(file)

    def _forget(self, folder: Path) -> None:
        """Weights that were kept there are gone."""
        place = f"{self._place(folder)}/"
        self.proofs = {name: digest for name, digest in self.proofs.items() if not name.startswith(place)}

    def _place(self, path: Path) -> str:
        return path.relative_to(self.file.parent).as_posix()

    def weights_after(self, step: int) -> Path:
        """The folder of kept weights that stand for those after a step."""
        late = self.stopped and step > self.stopped.step
        return self.stopped.weights if late else self.snapshots / str(step)

    def warned(self) -> dict[str, Any]:
        """The content of warnings.json."""
        return {
            "warnings": [finding.content() for finding in self.watcher.findings],
            "stopped": {"after": self.stopped.after, "weights": self.stopped.step} if self.stopped else None,
            "watch": self.watch.model_dump(),
        }

    def _save(self, step: int) -> None:
        parts = parts_folder(self.file, step) if self.learner.policy.split else None
        if parts and self.crew.first:
            empty(parts)  # before all meet, in the next line
        cost = self.meter.totals()
        if parts:
            self.learner.save_parts(parts)
            proofs = self.crew.all({file.name: sha256(file) for file in parts_of_rank(parts, self.crew.rank)})
        if not self.crew.first:
            return
        offsets = {name: file.sync() for name, file in zip(LOGS, self.logs)}
        heads = {name: sha256_of_head(self.file.with_name(name), offset) for name, offset in offsets.items()}
        state = {"key": self.key, "step": step, "offsets": offsets, "heads": heads, "cost": cost}
        state["proofs"] = {**self.proofs}
        if parts:
            hashes = {name: digest for found in proofs for name, digest in found.items()}
            save_state(self.file, {**state, "parts": parts.name, "parts_sha256": hashes})
            drop_other_parts(parts)
        else:
            save_state(self.file, {**state, **self.learner.state()})


def _names(folder: Path) -> list[str]:
    """Of the weights in a folder: after how many steps each was kept."""
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def empty(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _progress(line: dict[str, Any], steps: int, speed: float) -> str:
    text = f"step {line['step'] + 1}/{steps}: loss {line['loss']:.4f}, e_w {line['e_w']:.4f}"
    if line["implicit_accuracy"] is not None:
        text += f", accuracy {line['implicit_accuracy']:.2f}, margin {line['margin']:+.4f}"
    return f"{text}, gradient {line['grad_norm']:.3g}, {speed:.1f} pairs/s"
