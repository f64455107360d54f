"""Draw the README's image grid from the results: the same prompts and noises for every run."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="folder of the results")
    parser.add_argument("--backbone", help="default: the first of the main table")
    parser.add_argument("--testset", help="default: the first of the main table")
    parser.add_argument("--prompts", type=int, default=6, help="number of prompts")
    parser.add_argument("--out", required=True, help="picture to write, .png")
    args = parser.parse_args(argv)

    from pnapo.report.readme import readme_grid

    readme_grid(args.results, args.out, args.backbone, args.testset, args.prompts)


if __name__ == "__main__":
    scripting.run(main)
