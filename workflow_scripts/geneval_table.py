"""Make the table of GenEval's tasks from its scores: geneval.{csv,md,tex}."""

import argparse

from pnapo import scripting
from pnapo.tables.scores import Expected


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, help="folder of the scores")
    parser.add_argument("--config", required=True, type=scripting.section(Expected), help="JSON, as for main_table.py")
    parser.add_argument("--published", help="CSV of published values")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    args = parser.parse_args(argv)

    from pnapo.tables.geneval import geneval_caption, geneval_grids, geneval_table
    from pnapo.tables.published import read_published
    from pnapo.tables.write import write_all

    published = read_published(args.published) if args.published else None
    table = geneval_table(args.scores, args.config, published)
    write_all(table, args.out, geneval_caption(args.config.statistics.confidence), grids=geneval_grids(table))


if __name__ == "__main__":
    scripting.run(main)
