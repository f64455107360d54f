"""Remove semantic duplicates by cosine similarity of CLIP text embeddings."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Semantic


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--settings", required=True, type=scripting.section(Semantic), help="prompts.semantic, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--removed", required=True, help="table of removed prompts to write")
    parser.add_argument("--embeddings", required=True, type=Path, help="embeddings of the kept prompts to write")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.prompts.semantic import remove_semantic_duplicates

    table = read_table(args.prompts, ["prompt_id", "prompt"])
    device = scripting.pick_device(args.device)
    kept, removed = remove_semantic_duplicates(table, args.settings, device, args.embeddings)
    write_table(args.removed, removed)
    write_table(args.out, kept)


if __name__ == "__main__":
    scripting.run(main)
