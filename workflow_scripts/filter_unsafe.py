"""Remove unsafe prompts."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Safety


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--settings", required=True, type=scripting.section(Safety), help="prompts.safety, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--removed", required=True, help="table of removed prompts to write")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.prompts.safety import remove_unsafe

    given = args.settings.kind == "column"
    table = read_table(args.prompts, ["prompt_id", "prompt", *(["score"] if given else [])])
    device = "cpu" if given else scripting.pick_device(args.device)  # no model, no torch
    kept, removed = remove_unsafe(table, args.settings, device)
    write_table(args.removed, removed)
    write_table(args.out, kept)


if __name__ == "__main__":
    scripting.run(main)
