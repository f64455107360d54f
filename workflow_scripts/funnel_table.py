"""Make the funnel table: what each filter of the prompts kept and removed, and how right it was."""

import argparse

from pnapo import scripting


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, help="folder of the prompt tables")
    parser.add_argument("--truth", help="table of what is planted in the source, where it is known")
    parser.add_argument("--out", required=True, help="table to write, .csv")
    args = parser.parse_args(argv)

    from pnapo.prompts.funnel import CAPTION, FORMATS, funnel
    from pnapo.tables.write import write_all

    write_all(funnel(args.folder, args.truth), args.out, CAPTION, FORMATS)


if __name__ == "__main__":
    scripting.run(main)
