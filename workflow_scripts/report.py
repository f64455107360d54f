"""Write the report: one self-contained HTML page, and its figures as files in RESULTS/figures."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="folder of the results")
    parser.add_argument("--config", required=True, help="the resolved configuration: JSON, or a YAML or JSON file")
    parser.add_argument("--out", required=True, help="page to write, .html")
    args = parser.parse_args(argv)

    from pnapo.report.collect import read_config
    from pnapo.report.page import build

    build(args.results, read_config(args.config), args.out)


if __name__ == "__main__":
    scripting.run(main)
