"""Copy a repository of the model hub into the cache."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Download


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=scripting.section(Download), help="the download, as JSON")
    args = parser.parse_args(argv)

    from pnapo.fetch import fetch

    fetch(args.settings, lambda line: print(line, flush=True))


if __name__ == "__main__":
    scripting.run(main)
