"""Write what the laboratory found into docs/findings.md, from its tables."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="folder of the laboratory's results")
    parser.add_argument("--page", default="docs/findings.md", help="file to update")
    args = parser.parse_args(argv)

    from pnapo.report.findings import update_findings

    update_findings(args.results, args.page)


if __name__ == "__main__":
    scripting.run(main)
