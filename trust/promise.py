"""What a program of this folder has found: promises, each with its figure and whether it holds."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pnapo.artifacts import write_json

RESULTS = Path("results/trust")
FREE = ("seed", "folder")  # options with which a run is as whole as without
VERDICTS = {True: "holds", False: "BROKEN", None: "NOT RUN"}


@dataclass(frozen=True)
class Promise:
    """One line of docs/reliability.md."""

    promise: str  # what is promised, in a sentence without a figure
    figure: str  # what this run found, with its counts
    holds: bool | None  # None: it could not be tried here, and the figure says why


def record(program: str, found: Sequence[Promise], folder: Path | None = RESULTS) -> None:
    """Print what a program found, write it as `folder`/PROGRAM.json, and exit with 1 if a promise is broken or was not tried.

    Without a folder (see `arguments`) it is only printed. Raises RuntimeError if there is nothing: a program that checked
    nothing has proven nothing.
    """
    if not found:
        raise RuntimeError(f"trust.{program}: no promise was checked")
    for one in found:
        print(f"{VERDICTS[one.holds]}: {one.promise}: {one.figure}", flush=True)
    if folder != RESULTS:
        print(f"not a whole run with the defaults: no row for docs/reliability.md, {folder or 'nothing written'}")
    if folder:
        write_json(folder / f"{program}.json", [asdict(one) for one in found])
    if not all(one.holds for one in found):
        sys.exit(1)


def arguments(
    description: str, add: Callable[[argparse.ArgumentParser], None] = lambda parser: None
) -> argparse.Namespace:
    """The arguments of a program, which `add` adds (`--folder` among them), and `record_in`: where its findings belong.

    That is RESULTS for a run with the defaults; with any option but FREE it is another run, of the `--folder` if there is one.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add(parser)
    found = parser.parse_args()
    whole = all(value == parser.get_default(name) for name, value in vars(found).items() if name not in FREE)
    found.record_in = RESULTS if whole else found.folder
    return found


def seeded(
    description: str, add: Callable[[argparse.ArgumentParser], None] = lambda parser: None
) -> argparse.Namespace:
    """The same of a program that draws what it breaks: it takes `--seed` too, and prints it."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=0, help="what is broken, where and when, is drawn from it")
        add(parser)

    found = arguments(description, more)
    print(f"seed {found.seed}", flush=True)
    return found
