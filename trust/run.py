"""`make trust`: run the programs of this folder one after the other, and write their figures into docs/reliability.md."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from pnapo.report.marks import put
from trust.promise import RESULTS

VERDICTS = {True: "holds", False: "**broken**", None: "not run"}
# In the order of docs/reliability.md. Another program: its name here, and its section there.
PROGRAMS: tuple[str, ...] = (
    "determinism",
    "chaos",
    "damage",
    "obstacles",
    "training",
    "evaluation",
    "hostile",
    "fuzz",
    "load",
)


def rows(program: str, folder: Path = RESULTS) -> list[tuple[str, str, str, str]]:
    """The promises of one program, as rows of the page: promise, command, figure, verdict."""
    found = json.loads((folder / f"{program}.json").read_text("utf-8"))
    return [(one["promise"], f"`python -m trust.{program}`", one["figure"], VERDICTS[one["holds"]]) for one in found]


def table(programs: tuple[str, ...], folder: Path = RESULTS) -> str:
    """The table of the page, of the programs that have been run."""
    head = ("promise", "command", "figure of the last run", "")
    body = [row for program in programs if (folder / f"{program}.json").exists() for row in rows(program, folder)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *body))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"some of {', '.join(PROGRAMS)}; default: all")
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"))
    args = parser.parse_args()
    unknown = sorted(set(args.programs) - set(PROGRAMS))
    if unknown:
        parser.error(f"no program {unknown[0]!r}; there are {', '.join(PROGRAMS)}")
    broken = []
    for program in args.programs or PROGRAMS:
        (RESULTS / f"{program}.json").unlink(missing_ok=True)
        print(f"== {program}", flush=True)
        start = time.monotonic()
        failed = subprocess.run([sys.executable, "-m", f"trust.{program}"]).returncode
        print(
            f"== {program}: {'NOT PROVEN' if failed else 'holds'} after {(time.monotonic() - start) / 60:.0f} min",
            flush=True,
        )
        broken += [program] if failed else []
    put(args.page, "figures", table(PROGRAMS))
    print(table(PROGRAMS))
    if broken:
        sys.exit(f"not proven: {', '.join(broken)}")


if __name__ == "__main__":
    main()
