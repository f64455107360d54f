"""Score every sample of a pair set with a reward; winner, loser and reward gap follow."""

import argparse
from pathlib import Path

from pnapo import scripting
from pnapo.config.schema import Reward


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="manifest of the pair set")
    parser.add_argument("--images", required=True, type=Path, nargs="+", help="manifests of its images, shard by shard")
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--reward", required=True, type=scripting.section(Reward), help="the reward, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, help="label table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.pairs.images import images_of
    from pnapo.pairs.labels import label, score_samples
    from pnapo.rewards import load_reward

    images = images_of(args.pairs, args.images)
    prompts = read_table(args.prompts, ["prompt_id", "prompt"])
    scorer = load_reward(args.reward, scripting.pick_device(args.device))
    scores = score_samples(images, prompts, scorer, reward=args.reward.kind, log=lambda line: print(line, flush=True))
    write_table(args.out, label(list(dict.fromkeys(images.table["prompt_id"])), scores))


if __name__ == "__main__":
    scripting.run(main)
