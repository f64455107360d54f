"""Generate one shard of a pair set: two images a prompt by the base model, their prior noise kept."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model, Pairs


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--embeddings", required=True, help="manifest of the prompts' embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--settings", required=True, type=scripting.section(Pairs), help="pairs, as JSON")
    parser.add_argument("--shard", required=True, type=int, help="number of the shard, from 0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest of the shard to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table
    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.generate import generate_shard

    generate_shard(
        load_backbone(args.model, {"transformer"}, scripting.pick_device(args.device)),
        read_table(args.prompts, ["prompt_id", "prompt"]),
        read_embeddings(args.embeddings),
        args.settings,
        args.shard,
        args.out,
        lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
