"""Read the raw prompts, each distinct one once."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Source


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=scripting.section(Source), help="prompts.source, as JSON")
    parser.add_argument("--world-source", help="source table that the embedded world wrote")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_table
    from pnapo.prompts.sources import load_prompts

    write_table(args.out, load_prompts(args.world_source or args.settings.path, args.settings.column))


if __name__ == "__main__":
    scripting.run(main)
