"""Generate the images of one run (or of the base model) on one test set."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model, TestSet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--testset", required=True, help="table of test prompts")
    parser.add_argument("--embeddings", required=True, help="manifest of their embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--settings", required=True, type=scripting.section(TestSet), help="the test set, as JSON")
    parser.add_argument("--policy", help="manifest of a checkpoint; left out for the base model")
    parser.add_argument("--step", type=int, help="take the checkpoint's snapshot after so many steps")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="manifest to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_manifest, read_table
    from pnapo.backbones import load_backbone
    from pnapo.benchmarks.generation import generate_images
    from pnapo.pairs.embeddings import read_embeddings

    backbone = load_backbone(args.model, {"transformer", "vae"}, scripting.pick_device(args.device))
    if args.policy:
        settings = read_manifest(args.policy, "checkpoint")["settings"]
        backbone.load_policy(args.policy, negative=settings["negative"], step=args.step)
    generate_images(
        backbone,
        read_table(args.testset, ["prompt_id", "prompt"]),
        read_embeddings(args.embeddings),
        args.settings,
        args.out,
        lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
