"""One attempt at a run: from the last state in its work folder (or from step 0) to the last step, or until it is asked to
end."""

import math
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pnapo.errors import Terminated, UserError
from pnapo.processes import asked_to_end
from pnapo.training.checkpoint import SNAPSHOTS
from pnapo.training.log import JsonLines
from pnapo.training.state import drop_other_parts, fingerprint, load_state, parts_folder, save_state
from pnapo.training.step import Learner
from pnapo.training.tracker import Follower

Log = Callable[[str], None]
LOGS = ("train_log.jsonl", "speed.jsonl")  # what two identical runs share, and the clock


class Session:
    """The steps of a learner, with their logs, the snapshots that the run keeps, and states to go on from.

    Raises UserError if the processes of the training do not see the same state.
    """

    def __init__(self, learner: Learner, settings: dict[str, Any], work: Path, log: Log):
        self.learner, self.run, self.crew, self.meter = learner, learner.run, learner.crew, learner.meter
        self.key, self.file, self.snapshots, self.log = fingerprint(settings), work / "state.pt", work / SNAPSHOTS, log
        state = load_state(self.file, self.key, log, split=learner.policy.split)
        self.start = state["step"] if state else 0
        # Before anything is read together: a process that does not see the state yet would leave the others waiting.
        self.crew.require_same((self.key, self.start), "settings, pairs and state of the training")
        if state:
            log(f"resuming at step {state['step']}")
            if "parts" in state:
                learner.load_parts(work / state["parts"])
            else:
                learner.restore(state)
            self.meter.resume(state["cost"])
        offsets = state["offsets"] if state else {}
        self.logs = [JsonLines(work / name, offsets.get(name, 0)) for name in LOGS if self.crew.first]

    def optimize(self, follower: Follower | None = None) -> dict[str, Any]:
        """Run all steps that are left, and return what it cost.

        A SIGTERM lets the step that it meets end; then a state is saved and Terminated raised, in every process. Raises
        UserError if a logged number is not finite.
        """
        run, files = self.run, (*self.logs, *([follower] if follower else []))
        with asked_to_end() as asked, ExitStack() as closing:
            for file in files:
                closing.callback(file.close)
            for step in range(self.start, run.steps):
                self._step(step, follower)
                left = step + 1 < run.steps
                ending = self.crew.highest(asked()) and left
                if ending or (left and (step + 1) % run.checkpoint_every == 0):
                    self._save(step + 1)
                if ending:
                    self.crew.accelerator.wait_for_everyone()  # the first that ends has the others ended
                    raise Terminated(
                        f"ended by SIGTERM after step {step + 1} of {run.steps}; its state is saved, and the same training "
                        "goes on from there when it is started again"
                    )
        reference, total = self.learner.reference, run.steps * run.batch * run.accumulation
        none = {"reference_passes": 0, "shared_reference_passes": 0}
        return {**self.meter.report(), **(reference.passes(total) if reference else none)}

    def _step(self, step: int, follower: Follower | None) -> None:
        run, began = self.run, time.perf_counter()
        line = self.learner.step(step)
        for name, value in line.items():
            if value is not None and not math.isfinite(value):
                raise UserError(f"step {step}: {name} is {value}, training diverged; lower learning_rate or beta")
        speed = run.batch * run.accumulation / (time.perf_counter() - began)
        lines = (line, {"step": step, "pairs_per_s": round(speed, 3)})
        for file, content in zip(self.logs, lines):
            file.append(content)
        if follower:
            follower.add(*lines)
        if (step + 1) % max(1, run.steps // 20) == 0 or step + 1 == run.steps:
            self.log(_progress(line, run.steps, speed))
        if step + 1 in run.snapshots:
            self.keep(self.snapshots / str(step + 1))

    def keep(self, folder: Path) -> None:
        """Write the weights as they are now into a folder that holds nothing else."""
        self.learner.save_weights(empty(folder) if self.crew.first else None)

    def _save(self, step: int) -> None:
        cost, parts = self.meter.totals(), None
        if self.learner.policy.split:
            parts = parts_folder(self.file, step)
            self.learner.save_parts(parts)
        if not self.crew.first:
            return
        offsets = {name: file.sync() for name, file in zip(LOGS, self.logs)}
        state = {"fingerprint": self.key, "step": step, "offsets": offsets, "cost": cost}
        save_state(self.file, {**state, **({"parts": parts.name} if parts else self.learner.state())})
        if parts:
            drop_other_parts(parts)


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
