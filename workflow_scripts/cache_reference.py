"""Compute the frozen reference's errors on every sample of a pair set at one visit, for all runs on that path."""

import argparse
from pathlib import Path
from typing import get_args

from pnapo import scripting
from pnapo.config.schema import Model, PathName, Run


def main(argv: list[str] | None = None) -> None:
    times = get_args(Run.model_fields["time_sampling"].annotation)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="manifest of the pair set")
    parser.add_argument("--embeddings", required=True, type=Path, help="manifest of the prompt embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--path", required=True, choices=get_args(PathName), help="path of the runs")
    parser.add_argument("--time-sampling", required=True, choices=times, help="distribution of t")
    parser.add_argument("--draw-seed", required=True, type=int, help="times and fresh noise")
    parser.add_argument("--visit", required=True, type=int, help="how often the pairs were seen before, from 0")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--out", required=True, type=Path, help="manifest to write")
    arguments = parser.parse_args(argv)

    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.store import PairSet
    from pnapo.training.reference import make_visit

    make_visit(
        load_backbone(arguments.model, {"transformer"}, scripting.pick_device(arguments.device)),
        PairSet.open(arguments.pairs),
        read_embeddings(arguments.embeddings),
        path=arguments.path,
        time_sampling=arguments.time_sampling,
        draw_seed=arguments.draw_seed,
        visit=arguments.visit,
        out=arguments.out,
        log=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
