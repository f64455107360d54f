"""Write a list of test prompts: one of the embedded world's, or one read from a file."""

import argparse

from pnapo import scripting
from pnapo.config.schema import TestSet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=scripting.section(TestSet), help="the test set, as JSON")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_table

    if args.settings.source:
        from pnapo.world.testsets import write_list

        table = write_list(args.settings.source, args.settings.count)
    else:
        from pnapo.benchmarks.testsets import read_testset

        wanted = args.settings
        table = read_testset(wanted.path, wanted.column, wanted.count, wanted.category)
    write_table(args.out, table)


if __name__ == "__main__":
    scripting.run(main)
