"""Write the training curves of every run as a CSV file each."""

import argparse
from pathlib import Path

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", required=True, nargs="+", type=Path, help="folders of the runs (or a file inside each)"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument("--manifest", required=True, type=Path, help="manifest of the files to write")
    args = parser.parse_args(argv)

    from pnapo.tables.curves import write_curves

    write_curves(args.runs, args.out, args.manifest)


if __name__ == "__main__":
    scripting.run(main)
