"""Make the main table from all scores, main.{csv,md,tex}, and beside it comparisons and seeds, .{csv,md,tex} too."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.tables.scores import Expected


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, help="folder of the scores")
    parser.add_argument(
        "--config",
        required=True,
        type=scripting.section(Expected),
        help='JSON {"backbones": [...], "runs": {name: [seeds]}, "metrics": {name: [testsets]}, "statistics": {...}}',
    )
    parser.add_argument("--published", help="CSV of published values")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    parser.add_argument("--metrics", required=True, type=Path, help="JSON of the means to write, for `dvc metrics`")
    args = parser.parse_args(argv)

    from pnapo.tables.main import main_tables, write_main
    from pnapo.tables.published import read_published

    published = read_published(args.published) if args.published else None
    write_main(main_tables(args.scores, args.config, published), args.config, Path(args.out), args.metrics)


if __name__ == "__main__":
    scripting.run(main)
