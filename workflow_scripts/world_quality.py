"""Measure how good a finished world is."""

import argparse
from pathlib import Path

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", required=True, type=Path, help="folder of the parts")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_record
    from pnapo.world.quality import measure

    scripting.limit_threads()
    write_record(args.out, measure(args.world))


if __name__ == "__main__":
    scripting.run(main)
