"""Score every sample of a pair set with a reward; winner, loser and reward gap follow."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Model, Reward


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, help="manifest of the pair set")
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--reward", required=True, type=scripting.section(Reward), help="the reward, as JSON")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", required=True, help="label table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.backbones import load_backbone
    from pnapo.pairs.labels import label, score_samples
    from pnapo.pairs.store import PairSet
    from pnapo.rewards import load_reward

    scripting.limit_threads()
    device = scripting.pick_device(args.device)
    pairs = PairSet.open(args.pairs)
    prompts = read_table(args.prompts, ["prompt_id", "prompt"])
    scores = score_samples(
        pairs,
        prompts,
        load_backbone(args.model, {"vae"}, device),
        load_reward(args.reward, device),
        reward=args.reward.kind,
        log=lambda line: print(line, flush=True),
    )
    write_table(args.out, label(pairs.prompt_ids, scores))


if __name__ == "__main__":
    scripting.run(main)
