"""Write the embedded world's raw prompts, and the truth about what is planted in them."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Source


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=scripting.section(Source), help="prompts.source, as JSON")
    parser.add_argument("--out", required=True, help="source table to write")
    parser.add_argument("--truth", required=True, help="truth table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_table
    from pnapo.world.raw_prompts import write_raw

    source, truth = write_raw(args.settings)
    write_table(args.truth, truth)
    write_table(args.out, source)


if __name__ == "__main__":
    scripting.run(main)
