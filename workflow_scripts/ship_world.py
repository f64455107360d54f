"""Copy the weights of a finished world to assets/world, with a manifest of how they were made and how good they are."""

import argparse
from pathlib import Path

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", required=True, type=Path, help="folder of the parts")
    parser.add_argument("--quality", required=True, type=Path, help="what world_quality.py measured")
    parser.add_argument("--assets", required=True, type=Path, help="folder to ship to")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_record
    from pnapo.world.build import ship

    ship(args.world, read_record(args.quality), args.assets)


if __name__ == "__main__":
    scripting.run(main)
