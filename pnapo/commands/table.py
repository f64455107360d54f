"""`pnapo table`: print a table of results."""

import argparse


def add(commands: argparse._SubParsersAction) -> None:
    table = commands.add_parser("table", help="print a table of results")
    table.add_argument("path", help="a .csv of results/tables")
    table.add_argument("--columns", help="only these, in this order: a,b,c")
    table.set_defaults(run_command=_table)


def _table(args: argparse.Namespace) -> None:
    from pnapo.tables.terminal import show

    show(args.path, args.columns.split(",") if args.columns else None)
