"""Measure one metric on the images of one run and test set."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Metric, Reward


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, help="manifest of the images")
    parser.add_argument("--testset", required=True, help="table of test prompts")
    parser.add_argument("--metric", required=True, type=scripting.section(Metric), help="the metric, as JSON")
    parser.add_argument("--reward", type=scripting.section(Reward), help="the metric's reward, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, help="score table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.artifacts.images import Images
    from pnapo.benchmarks.scoring import score_images

    networks = args.metric.kind == "reward" or args.metric.detector == "mask2former"
    testset = read_table(args.testset, ["prompt_id", "prompt", "geneval", "scene"])
    device = scripting.pick_device(args.device) if networks else "cpu"
    write_table(args.out, score_images(Images(args.images), testset, args.metric, args.reward, device, args.testset))


if __name__ == "__main__":
    scripting.run(main)
