"""Read the raw prompts, each distinct one once."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Source


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=scripting.section(Source), help="prompts.source, as JSON")
    parser.add_argument("--score", help="column with a score for each prompt, to be carried along")
    parser.add_argument("--world-source", help="source table that the embedded world wrote")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.prompts.distinct import write_distinct

    write_distinct(args.world_source or args.settings.path, args.out, args.settings.column, args.score)


if __name__ == "__main__":
    scripting.run(main)
