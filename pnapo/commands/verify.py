"""`pnapo verify`: prove artefacts intact."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    verify = commands.add_parser("verify", help="prove artefacts intact: hashes, and what else their kind allows")
    verify.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a manifest or its folder, a table, tensors; or a folder of such",
    )
    verify.set_defaults(run_command=_verify)


def _verify(args: argparse.Namespace) -> None:
    from pnapo.verify import UNREAD, inside, remedy, results_of, verify

    damaged = 0
    for given in args.paths:
        whole = not given.is_dir() or (given / "manifest.json").is_file()
        found = [given / "manifest.json" if given.is_dir() else given] if whole else inside(given)
        results = results_of(found if len(found) > 1 else found[0].parent.glob("*"))
        for path in found:
            kind, problems = verify(path, results)
            for problem in problems:
                print(problem if kind == UNREAD else f"{problem}; {remedy(path, problem, results)}", flush=True)
            if not problems:
                print(f"{path}: ok ({kind})", flush=True)
            damaged += bool(problems)
    if damaged:
        raise SystemExit(1)
