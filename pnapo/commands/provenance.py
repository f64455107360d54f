"""`pnapo provenance`: carry Snakemake's records of what made each output."""

import argparse
import os


def add(commands: argparse._SubParsersAction) -> None:
    provenance = commands.add_parser("provenance", help="carry Snakemake's records of what made each output")
    actions = provenance.add_subparsers(metavar="ACTION", required=True)
    for name, command, told in (
        ("save", _save, "write the records of all outputs here (a run does it by itself)"),
        ("restore", _restore, "after git clone and dvc pull: let Snakemake know how the outputs were made"),
    ):
        action = actions.add_parser(name, help=told)
        action.add_argument("path", nargs="?", default="results/provenance.json")
        action.set_defaults(run_command=command)
    action.add_argument("--if-saved", action="store_true", help="do nothing if there is no such file yet")


def _save(args: argparse.Namespace) -> None:
    from pnapo.provenance import save

    print(f"{args.path}: the records of {save(args.path)} outputs")


def _restore(args: argparse.Namespace) -> None:
    from pnapo.provenance import restore

    if args.if_saved and not os.path.exists(args.path):
        return
    found = restore(args.path)
    print(f"{found.known} outputs are as recorded, {found.absent} are not here")
    for output in found.different:
        print(f"{output}: is not what was recorded; Snakemake will decide whether to make it again")
