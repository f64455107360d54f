"""Measure signal and noise of the gradients of pairs on every path, at the start of training or of a trained policy."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="manifest of the pair set")
    parser.add_argument(
        "--inverted", type=Path, help="manifest of the pair set with inverted noises (default: without that path)"
    )
    parser.add_argument("--labels", required=True, type=Path, help="labels of the pair set (parquet)")
    parser.add_argument("--embeddings", required=True, type=Path, help="manifest of the prompt embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--policy", type=Path, help="manifest of a checkpoint; left out for the start of training")
    parser.add_argument("--step", type=int, help="take the checkpoint's snapshot after so many steps")
    parser.add_argument("--paths", nargs="+", help="which paths to compare (default: all that preferences have)")
    parser.add_argument("--count", required=True, type=int, help="how many pairs")
    parser.add_argument("--seed", required=True, type=int, help="of the draws")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, type=Path, help="JSON to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import write_record
    from pnapo.backbones import load_backbone
    from pnapo.lab.gradients import gradient_products, left_out, signal_to_noise
    from pnapo.objectives.paths import PATHS
    from pnapo.pairs.embeddings import read_embeddings
    from pnapo.pairs.preferences import load_pairs

    backbone = load_backbone(args.model, {"transformer"}, scripting.pick_device(args.device))
    embeddings, found = read_embeddings(args.embeddings), {}
    for name, path in PATHS.items():
        if path.noise == "truncated" or (args.paths and name not in args.paths):  # truncated: of no preference's images
            continue
        if path.noise == "inverted" and not args.inverted:
            continue
        manifest = args.inverted if path.noise == "inverted" else args.pairs
        pairs = load_pairs(manifest, args.labels, shuffle=args.seed if path.noise == "shuffled" else None)
        products = gradient_products(
            backbone,
            pairs,
            embeddings,
            path=name,
            count=args.count,
            seed=args.seed,
            checkpoint=args.policy,
            step=args.step,
            log=lambda line: print(line, flush=True),
        )
        numbers = signal_to_noise(products)._asdict()
        found[name] = {"n": len(products)} | {k: _short(v) for k, v in numbers.items() if abs(v) < float("inf")}
        found[name] |= dict(zip(("signals", "noises"), ([_short(v) for v in values] for values in left_out(products))))
    write_record(args.out, found)


def _short(number: float) -> float:
    return float(f"{number:.9g}")


if __name__ == "__main__":
    scripting.run(main)
