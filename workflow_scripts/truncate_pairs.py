"""Roll out one shard's noises with the base model, each up to a time of its own, and write where they would lead."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model, Truncation


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", required=True, type=Path, help="manifest of a shard of the pair set")
    parser.add_argument("--embeddings", required=True, help="manifest of the prompts' embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--settings", required=True, type=scripting.section(Truncation), help="truncation, as JSON")
    parser.add_argument("--draw-seed", required=True, type=int, help="of the training draws: where rollouts stop")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest of the shard to write")
    args = parser.parse_args(argv)

    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.truncate import truncate_shard

    truncate_shard(
        load_backbone(args.model, {"transformer"}, scripting.pick_device(args.device)),
        args.shard,
        read_embeddings(args.embeddings),
        args.settings,
        args.draw_seed,
        args.out,
        lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
