"""Write the README's table of results from the main table."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="folder of the results")
    parser.add_argument("--readme", default="README.md", help="file to update")
    args = parser.parse_args(argv)

    from pnapo.report.readme_table import update_readme

    update_readme(args.results, args.readme)


if __name__ == "__main__":
    scripting.run(main)
