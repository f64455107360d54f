"""Encode one shard of a data set's images into latents: a pair set without noise."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Dataset, Model, Pairs


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, help="table of the data set's pairs")
    parser.add_argument("--dataset", required=True, type=scripting.section(Dataset), help="the data set, as JSON")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--settings", required=True, type=scripting.section(Pairs), help="pairs, as JSON")
    parser.add_argument("--shard", required=True, type=int, help="number of the shard, from 0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest of the shard to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table
    from pnapo.backbones import load_backbone
    from pnapo.pairs.dataset import encode_shard

    encode_shard(
        load_backbone(args.model, {"vae"}, scripting.pick_device(args.device)),
        read_table(args.pairs, ["prompt_id", "file", "row"]),
        args.dataset,
        args.settings,
        args.shard,
        args.out,
        lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
