"""Choose β, learning rate and steps of a run by its scores on validation prompts."""

import argparse
import json
from pathlib import Path

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scores", required=True, nargs="+", type=Path, help="every point at every step, in that order"
    )
    parser.add_argument(
        "--points", required=True, type=json.loads, help='JSON {"points": {name: {...}}, "steps": [...]}'
    )
    parser.add_argument("--out", required=True, type=Path, help="JSON to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_record
    from pnapo.tables.tuning import choose

    write_record(args.out, choose(args.scores, args.points["points"], args.points["steps"]))


if __name__ == "__main__":
    scripting.run(main)
