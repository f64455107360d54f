"""Embed a prompt list with a backbone's text encoders."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, help="manifest to write")
    args = parser.parse_args(argv)

    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import write_embeddings

    backbone = load_backbone(args.model, {"text"}, scripting.pick_device(args.device))
    write_embeddings(backbone, args.prompts, args.out)


if __name__ == "__main__":
    scripting.run(main)
