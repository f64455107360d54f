"""Remove near-duplicates by Jaccard similarity."""

import argparse

from pnapo import scripting
from pnapo.config.schema import NearDuplicates


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument(
        "--settings", required=True, type=scripting.section(NearDuplicates), help="prompts.near_duplicates, as JSON"
    )
    parser.add_argument("--removed", required=True, help="table of removed prompts to write")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.prompts.near_duplicates import remove_near_duplicates

    kept, removed = remove_near_duplicates(read_table(args.prompts, ["prompt_id", "prompt"]), args.settings)
    write_table(args.removed, removed)
    write_table(args.out, kept)


if __name__ == "__main__":
    scripting.run(main)
