"""Decode the latents of one shard of a pair set into images."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", required=True, type=Path, help="manifest of the shard")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest to write")
    args = parser.parse_args(argv)

    from pnapo.backbones import load_backbone
    from pnapo.pairs.images import decode_shard

    backbone = load_backbone(args.model, {"vae"}, scripting.pick_device(args.device))
    decode_shard(backbone, args.shard, args.out, lambda line: print(line, flush=True))


if __name__ == "__main__":
    scripting.run(main)
