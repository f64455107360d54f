"""A reward that lives in an environment of its own: a program that is started once, and asked batch by batch.

Both sides write JSON objects, one a line (docs/rewards.md); pictures travel as PNG files. Every answer is checked: the
protocol's version, that there is one score for each picture asked about, by its key and in order, and that it is finite.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.processes import die_with_parent
from pnapo.refusals import ending
from pnapo.rewards.base import Scorer
from pnapo.text import one_line, presentable, redacted

PROTOCOL = 1
PATIENCE = 10  # seconds that a program has to end after its last question
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # the environment of this process, not of the program


class Program:
    """A running program, and a folder for the pictures it is asked about; both end with this object."""

    def __init__(self, command: list[str], settings: dict[str, Any]):
        self.name = command[-1]
        for path, what in zip(command, ("Python", "program")):
            if not Path(path).is_file():
                raise UserError(f"{path}: no such {what}; docs/rewards.md says how to make a reward's environment")
        self._files = tempfile.TemporaryDirectory(prefix="pnapo-")
        self.folder = Path(self._files.name)
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        with open(self.folder / "stderr", "wb") as errors:
            try:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                raise UserError(f"{command[0]}: cannot be started ({error.strerror})") from None
        weakref.finalize(self, _end, self.process, self._files)
        found = self.ask({"protocol": PROTOCOL, **settings})
        if found.get("protocol") != PROTOCOL:
            raise UserError(f"{self.name}: speaks protocol {found.get('protocol')!r}, this is {PROTOCOL}")
        self.versions = found.get("versions", {})
        if not isinstance(self.versions, dict):
            raise UserError(f'{self.name}: "versions" is {self.versions!r}, not an object of names and versions')

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The program's answer. Raises UserError if it ends, or answers something else than a JSON object."""
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words follow
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            self._fail(ending(self.process.wait()))
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._fail("answered what is no JSON object")
        if "error" in answer:
            self._fail(str(answer["error"]))
        return answer

    def _fail(self, what: str) -> None:
        """What the program wrote for people goes to our log, the last line of it into the message.

        It knows our environment, so without secrets; and what a terminal would obey is spelt out.
        """
        words = redacted((self.folder / "stderr").read_text("utf-8", "replace"))
        lines = [one_line(line.rstrip()) for line in words.splitlines()]
        sys.stderr.writelines(f"{line}\n" for line in lines)
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        raise UserError(f"{self.name}: {what}{f' ({last[:200]})' if last else ''}") from None


def _end(process: subprocess.Popen, files: tempfile.TemporaryDirectory) -> None:
    """Close the program's input, which ends it; kill one that goes on."""
    try:
        process.stdin.close()
        process.wait(PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    process.stdout.close()
    files.cleanup()


def checked(answer: dict[str, Any], keys: list[str], name: str) -> np.ndarray:
    """The scores of an answer, float32 [B]. Raises UserError if they are not one finite number for each key, in order."""
    scores = answer.get("scores")
    if not isinstance(scores, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in scores):
        raise UserError(f'{name}: an answer needs "scores", a list of [key, number]')
    if len(scores) != len(keys):
        raise UserError(f"{name}: gave {len(scores)} scores for {len(keys)} images")
    for (key, score), asked in zip(scores, keys):
        if key != asked:
            raise UserError(
                f"{name}: gave a score of {key!r} where {asked!r} was asked; scores are in the order of images"
            )
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise UserError(f"{name}: the score {score!r} is not a finite number")
    return np.array([score for _, score in scores], np.float32)


class External(Scorer):
    """Raw score: what the program says."""

    def __init__(self, reward: Reward, device: str):
        if not reward.program:
            raise UserError("rewards: kind external needs `program`")
        settings = {"model": reward.model, "checkpoint": reward.checkpoint, "device": device}
        self.program = Program([reward.python or sys.executable, reward.program], settings)
        versions = ", ".join(f"{name} {version}" for name, version in self.program.versions.items())
        print(presentable(f"external reward: {reward.program}{f' with {versions}' if versions else ''}"), flush=True)
        self.display_scale, self.batch = reward.scale, reward.batch

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """The picture itself, uint8 [H, W, 3]: the program has its own preprocessing."""
        return torch.from_numpy(np.ascontiguousarray(image))

    def score_prepared(self, pixels: Iterable[torch.Tensor], prompts: Sequence[str]) -> Iterator[np.ndarray]:
        """Raw scores of pictures, batch by batch; the last batch may be smaller."""
        pixels = iter(pixels)
        for start in range(0, len(prompts), self.batch):
            images = []
            for number, (picture, prompt) in enumerate(
                zip(islice(pixels, self.batch), prompts[start : start + self.batch]), start
            ):
                path = self.program.folder / f"{number}.png"
                Image.fromarray(picture.numpy()).save(path, compress_level=1)
                images.append({"key": str(number), "path": str(path), "prompt": prompt})
            answer = self.program.ask({"images": images})
            yield checked(answer, [image["key"] for image in images], self.program.name)
            for image in images:
                Path(image["path"]).unlink()
