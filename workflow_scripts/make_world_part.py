"""Make one part of the embedded world from nothing."""

import argparse
import json
from pathlib import Path

from pnapo import scripting
from pnapo.world.recipe import PARTS


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", required=True, choices=PARTS)
    parser.add_argument("--settings", required=True, type=json.loads, help="the part's recipe, as JSON")
    parser.add_argument("--out", required=True, type=Path, help="manifest to write; the world is two folders up")
    args = parser.parse_args(argv)

    from pnapo.world.build import make_part

    scripting.limit_threads()
    make_part(args.part, args.out.parent.parent, args.settings, lambda line: print(line, flush=True))


if __name__ == "__main__":
    scripting.run(main)
