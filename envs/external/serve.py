"""The program's side of an external reward (docs/rewards.md): settings first, then questions, one JSON object a line.

Standard library only, for any Python from 3.9 on: it runs in environments that have nothing of this repository.
"""

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

PROTOCOL = 1
Score = Callable[[list[str], list[str]], Sequence[float]]  # of image files and their prompts


def serve(load: Callable[[dict[str, Any]], Score], packages: dict[str, str]) -> None:
    """Answer until the questions end. `load` makes the scoring function from the settings (model, checkpoint, device).

    `packages`: distributions that must be installed, each at this version ("" for any). What goes wrong is told in one
    line. Libraries may print: what they write to standard output lands on standard error.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]  # hpsv3.py is not the package hpsv3
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    settings = json.loads(sys.stdin.readline())
    if settings.pop("protocol") != PROTOCOL:
        return answer(error=f"this program speaks protocol {PROTOCOL}")
    try:
        versions = {name: _version(name, wanted) for name, wanted in packages.items()}
        score = load(settings)
    except Exception as error:
        return answer(error=_line(error))
    answer(protocol=PROTOCOL, versions=versions)
    for line in sys.stdin:
        images = json.loads(line)["images"]
        try:
            scores = [float(x) for x in score([i["path"] for i in images], [i["prompt"] for i in images])]
            if len(scores) != len(images):
                raise ValueError(f"{len(scores)} scores for {len(images)} images")
        except Exception as error:
            return answer(error=_line(error))
        answer(scores=[[image["key"], value] for image, value in zip(images, scores)])


def _version(name: str, wanted: str) -> str:
    """The installed version of a distribution. Raises RuntimeError if it is missing or another one."""
    requirements = f"{os.path.splitext(sys.argv[0])[0]}.txt"
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise RuntimeError(f"{name} is not installed in {sys.prefix}; install {requirements} there") from None
    if wanted and found != wanted:
        raise RuntimeError(f"{name} {found} is installed in {sys.prefix}, this needs {wanted}; install {requirements}")
    return found


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
