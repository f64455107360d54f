"""Draw the training prompts, each cluster with its share."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Selection


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument(
        "--settings", required=True, type=scripting.section(Selection), help="prompts.selection, as JSON"
    )
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.prompts.selection import select

    table = read_table(args.prompts, ["prompt_id", "prompt", "cluster"])
    write_table(args.out, select(table, args.settings))


if __name__ == "__main__":
    scripting.run(main)
