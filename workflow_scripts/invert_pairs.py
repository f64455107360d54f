"""Find the noises of one shard's latents by inversion with the base model, instead of those they were made from."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Inversion, Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", required=True, type=Path, help="manifest of a shard of the pair set")
    parser.add_argument("--embeddings", required=True, help="manifest of the prompts' embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--settings", required=True, type=scripting.section(Inversion), help="inversion, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest of the shard to write")
    args = parser.parse_args(argv)

    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.invert import invert_shard

    invert_shard(
        load_backbone(args.model, {"transformer"}, scripting.pick_device(args.device)),
        args.shard,
        read_embeddings(args.embeddings),
        args.settings,
        args.out,
        lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
