"""Compare a model's trajectories with the paths that training assumes."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="manifest of the pair set")
    parser.add_argument("--inverted", required=True, type=Path, help="manifest of the pair set with inverted noises")
    parser.add_argument("--embeddings", required=True, type=Path, help="manifest of the prompt embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--prompts", required=True, type=int, help="how many of the first prompts")
    parser.add_argument("--seed", required=True, type=int, help="of fresh and shuffled noise")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="table to write (parquet)")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_table
    from pnapo.backbones import load_backbone
    from pnapo.lab.geometry import measure_geometry
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.store import PairSet

    table = measure_geometry(
        load_backbone(args.model, {"transformer"}, scripting.pick_device(args.device)),
        PairSet.open(args.pairs),
        PairSet.open(args.inverted),
        read_embeddings(args.embeddings),
        prompts=args.prompts,
        seed=args.seed,
        log=lambda line: print(line, flush=True),
    )
    write_table(args.out, table)


if __name__ == "__main__":
    scripting.run(main)
