"""`pnapo score`: what the configuration's rewards say of a user's own images."""

import argparse
import sys
from pathlib import Path

from pnapo.commands import common


def add(commands: argparse._SubParsersAction) -> None:
    score = commands.add_parser("score", help="score images of your own with rewards")
    score.add_argument("--reward", required=True, nargs="+", metavar="NAME", help="names under `rewards`")
    score.add_argument("--images", required=True, nargs="+", type=Path, metavar="PATH", help="a folder, or image files")
    score.add_argument(
        "--prompts",
        required=True,
        type=Path,
        metavar="FILE",
        help="a table with the columns image and prompt, or a list with a prompt for each image in order (.csv, .jsonl, "
        ".parquet, .txt)",
    )
    score.add_argument("--out", type=Path, metavar="FILE", help="the scores, .csv or .jsonl (default: CSV on stdout)")
    common.add_config(score)
    score.set_defaults(run_command=_score)


def _score(args: argparse.Namespace) -> None:
    from pnapo.artifacts.image_files import list_images
    from pnapo.benchmarks.matching import match
    from pnapo.benchmarks.scoring import score_images
    from pnapo.config.schema import Metric
    from pnapo.errors import UserError

    if args.out and args.out.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{args.out}: scores are written as .csv or .jsonl")
    config = common.configuration(args)
    rewards = {name: common.entry(config.rewards, name, "reward") for name in args.reward}
    images, others = match(list_images(args.images), args.prompts)
    device, table = common.run_models(args, config), images.table[["image", "prompt"]]
    for name, reward in rewards.items():
        metric = Metric(kind="reward", reward=name, testsets=[name])
        found = score_images(images, images.table, metric, reward, device, args.prompts)
        table = table.assign(**{name: found["score"]})
    _write(table, args.out)
    for name in rewards:
        line = _summary(name, images.table["prompt_id"], table[name], config.statistics)
        print(line, file=sys.stdout if args.out else sys.stderr)
    if others:
        print(f"{others} images are not in {args.prompts}, and left out", file=sys.stderr)


def _write(table, out: Path | None) -> None:
    from pnapo.artifacts import write_csv, write_text
    from pnapo.artifacts.tables import as_csv

    if out is None:
        print(as_csv(table), end="")
    elif out.suffix == ".csv":
        write_csv(out, table)
    else:
        write_text(out, table.to_json(orient="records", lines=True, force_ascii=False, double_precision=15))


def _summary(name: str, prompt_ids, scores, settings) -> str:
    """Mean with its interval and median over prompts, as the main table has them."""
    import numpy as np
    import pandas as pd

    from pnapo.tables.main import summary
    from pnapo.tables.scores import Scores

    found = summary(Scores(np.asarray(scores, np.float64)[None], pd.factorize(prompt_ids)[0]), settings)
    interval = f"{100 * settings.confidence:g} % {found['ci_low']:.4g} to {found['ci_high']:.4g}"
    mean, median = (f"{found[key]:.4g}" for key in ("mean", "median"))
    return f"{name}: mean {mean} ({interval}), median {median}; {len(scores)} images of {found['n']} prompts"
