"""`pnapo diff`: where two results folders first part."""

import argparse
import sys
from pathlib import Path

SHOWN = 8  # lines told of one stage


def add(commands: argparse._SubParsersAction) -> None:
    diff = commands.add_parser("diff", help="say where two results folders first part, what differs and how much")
    diff.add_argument("one", type=Path, metavar="RESULTS_A")
    diff.add_argument("other", type=Path, metavar="RESULTS_B")
    diff.add_argument("--all", action="store_true", help="tell every difference, not the first of each stage")
    diff.set_defaults(run_command=_diff)


def _diff(args: argparse.Namespace) -> None:
    from pnapo.diff.runs import compare
    from pnapo.errors import UserError

    try:
        found = compare(args.one, args.other)
    except UserError as error:  # 1 means that they part
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    for stage in found.stages:
        lines = [*stage.different, *stage.missing]
        print(f"{stage.name}: {f'{len(lines)} differ, ' if lines else ''}{stage.equal} equal")
        for line in lines if args.all else lines[:SHOWN]:
            print(f"  {line}")
        if len(lines) > SHOWN and not args.all:
            print(f"  … and {len(lines) - SHOWN} more (--all)")
    for note in found.notes:
        print(note)
    print(f"left out, as clocks and costs differ anyway: {found.left_out} files")
    first = found.first
    print(f"they first part in: {first.name}, {[*first.different, *first.missing][0]}" if first else "they are equal")
    raise SystemExit(1 if first else 0)
