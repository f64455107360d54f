"""Make the table of what each training run cost: compute.{csv,md,tex}."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, nargs="*", help="folders of the runs (or a file inside each)")
    parser.add_argument("--published", help="CSV of published values; those of the metric gpu_hours stand beside ours")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    args = parser.parse_args(argv)

    from pnapo.tables.compute import CAPTION, FORMATS, compute_table
    from pnapo.tables.published import read_published
    from pnapo.tables.write import write_all

    published = read_published(args.published) if args.published else None
    write_all(compute_table(args.runs, published), args.out, CAPTION, FORMATS)


if __name__ == "__main__":
    scripting.run(main)
