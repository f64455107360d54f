"""What a program of this folder has found: promises, each with its figure and whether it holds."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pnapo.artifacts import write_json

RESULTS = Path("results/trust")


@dataclass(frozen=True)
class Promise:
    """One line of docs/reliability.md."""

    promise: str  # what is promised, in a sentence without a figure
    figure: str  # what this run found, with its counts
    holds: bool


def record(program: str, found: Sequence[Promise], folder: Path = RESULTS) -> None:
    """Print what a program found, write it as `folder`/PROGRAM.json, and exit with 1 if a promise does not hold.

    Raises RuntimeError if there is nothing: a program that checked nothing has proven nothing.
    """
    if not found:
        raise RuntimeError(f"trust.{program}: no promise was checked")
    for one in found:
        print(f"{'holds' if one.holds else 'BROKEN'}: {one.promise}: {one.figure}", flush=True)
    write_json(folder / f"{program}.json", [asdict(one) for one in found])
    if not all(one.holds for one in found):
        sys.exit(1)


def seeded(
    description: str, add: Callable[[argparse.ArgumentParser], None] = lambda parser: None
) -> argparse.Namespace:
    """The arguments of a program that draws what it breaks: `--seed`, which it prints, and what `add` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0, help="what is broken, where and when, is drawn from it")
    add(parser)
    found = parser.parse_args()
    print(f"seed {found.seed}", flush=True)
    return found
