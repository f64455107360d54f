"""What a tracker (TensorBoard, trackio, Weights & Biases) is told of a training: the lines of its log, as they are written.

The log stays the truth: a tracker is imported only if it is asked for, changes no result, and one that fails is left alone
after one line. None of the packages is needed otherwise, so none is installed with this one.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from importlib import import_module  # by name: an import statement would have the warm process import them all
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pnapo.artifacts.pretrained import reason
from pnapo.errors import UserError

PROJECT = "pnapo"

Put = Callable[[dict[str, float], int], None]


class Tracker(NamedTuple):
    """Which tracker, and the folder for what it writes. The folder's last two names are the training's."""

    kind: str
    folder: Path


class Opened(NamedTuple):
    """How to give an open tracker the numbers of a step, and how to close it."""

    put: Put
    close: Callable[[], None]


def _tensorboard(folder: Path, name: str, settings: dict, step: int) -> Opened:
    writer = import_module("torch.utils.tensorboard").SummaryWriter(
        str(folder), purge_step=step
    )  # steps after the last state are made again
    writer.add_text("settings", f"```\n{settings}\n```", step)

    def put(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return Opened(put, writer.close)


def _trackio(folder: Path, name: str, settings: dict, step: int) -> Opened:
    trackio = import_module("trackio")
    run = trackio.init(project=PROJECT, name=name, config=settings, resume="allow", embed=False)
    return Opened(lambda values, step: run.log(values, step=step), trackio.finish)


def _wandb(folder: Path, name: str, settings: dict, step: int) -> Opened:
    wandb = import_module("wandb")
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=name,
        id=hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16],  # a training that goes on is one run
        resume="allow",
        dir=str(folder),
        config=settings,
    )
    return Opened(lambda values, step: run.log(values, step=step), run.finish)


TRACKERS: dict[str, Callable[[Path, str, dict, int], Opened]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
}


def require(kind: str) -> None:
    """Raise UserError if the package of a tracker is not installed; `none` needs nothing."""
    found = find_spec(kind) if kind != "none" else None
    if kind != "none" and (found is None or found.origin is None):  # a folder of that name is no package
        raise UserError(f"tracker {kind}: the package is not installed; `pip install {kind}`, or set `tracker: none`")


class Follower:
    """Gives the lines of a log to a tracker, from step `start` on. Whatever goes wrong there is one line, and the end of it."""

    def __init__(self, tracker: Tracker, settings: Mapping[str, Any], start: int, log: Callable[[str], None]):
        self._kind, self._log, self._open = tracker.kind, log, None
        name = "/".join(tracker.folder.parts[-2:])
        self._open = self._try(lambda: TRACKERS[tracker.kind](tracker.folder, name, dict(settings), start))

    def add(self, *lines: Mapping[str, Any]) -> None:
        """The numbers of one step, from the lines that the logs have of it."""
        found = {name: value for line in lines for name, value in line.items() if value is not None}
        step = found.pop("step")
        if self._open:
            self._try(lambda: self._open.put(found, step))

    def close(self) -> None:
        if self._open:
            self._try(self._open.close)

    def _try(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # of code that is not ours, and must not stop a training
            self._open = None
            self._log(
                f"tracker {self._kind}: {reason(error).rstrip('.')}; it is told nothing more, and the training goes on"
            )
            return None
