"""`pnapo label`: score a pair set with a reward, and name winners and losers."""

import argparse
from pathlib import Path

from pnapo.commands import common


def add(commands: argparse._SubParsersAction) -> None:
    label = commands.add_parser("label", help="score a pair set with rewards: winner, loser and gap of each prompt")
    label.add_argument("pairs", type=Path, metavar="PAIRS", help="a pair set's folder, with its images in it")
    label.add_argument("--reward", required=True, nargs="+", metavar="NAME", help="names under `rewards`")
    label.add_argument("--prompts", type=Path, metavar="FILE", help="its prompts (default: those kept with it)")
    common.add_config(label)
    label.set_defaults(run_command=_label)


def _label(args: argparse.Namespace) -> None:
    from pnapo.artifacts import write_table
    from pnapo.pairs.images import images_of
    from pnapo.pairs.labels import label, score_samples
    from pnapo.pairs.layout import LABELS, images_beside, manifest_of, prompts_of
    from pnapo.rewards import load_reward

    config = common.configuration(args)
    rewards = {name: common.entry(config.rewards, name, "reward") for name in args.reward}
    manifest = manifest_of(args.pairs)
    prompts, images = prompts_of(manifest, args.prompts), images_of(manifest, images_beside(manifest))
    device = common.run_models(args, config)
    for name, reward in rewards.items():
        scores = score_samples(images, prompts, load_reward(reward, device), reward=name, log=common.log)
        table = label(list(dict.fromkeys(images.table["prompt_id"])), scores)
        write_table(manifest.parent / LABELS / f"{name}.parquet", table)
        print(
            f"{manifest.parent / LABELS / name}.parquet: {len(table)} prompts, {int(table['tie'].sum())} of them tied"
        )
