"""Make the table of paths (distance, the reference's error, noise of the gradient): geometry.{csv,md,tex}."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Statistics


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", required=True, nargs="+", type=Path, help="folders of measurements, a backbone each")
    parser.add_argument("--statistics", required=True, type=scripting.section(Statistics), help="as JSON")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    args = parser.parse_args(argv)

    from pnapo.tables.geometry import geometry_caption, geometry_grids, geometry_table
    from pnapo.tables.write import write_all

    table = geometry_table(args.lab, args.statistics)
    write_all(table, args.out, geometry_caption(args.statistics.confidence), grids=geometry_grids(table))


if __name__ == "__main__":
    scripting.run(main)
