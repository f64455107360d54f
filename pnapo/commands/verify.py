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
    from pnapo.verify import inside, verify

    damaged = 0
    for given in args.paths:
        whole = not given.is_dir() or (given / "manifest.json").is_file()
        for path in [given] if whole else inside(given):
            kind, problems = verify(path)
            name = path / "manifest.json" if path.is_dir() else path
            print("\n".join(problems) or f"{name}: ok ({kind})", flush=True)
            damaged += bool(problems)
    if damaged:
        raise SystemExit(1)
