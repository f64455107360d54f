"""Make the table of gains at the snapshots of training: budget.{csv,md,tex}."""

import argparse

from pnapo import scripting
from pnapo.tables.snapshots import Curves


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, help="folder of the scores")
    parser.add_argument("--config", required=True, type=scripting.section(Curves), help="which curves, as JSON")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    args = parser.parse_args(argv)

    from pnapo.tables.budget import budget_caption, budget_grids, budget_table
    from pnapo.tables.write import write_all

    table = budget_table(args.scores, args.config)
    write_all(table, args.out, budget_caption(args.config.statistics.confidence), grids=budget_grids(table))


if __name__ == "__main__":
    scripting.run(main)
