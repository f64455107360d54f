"""`pnapo generate`: images of a user's prompts by a model of the configuration, or by a checkpoint trained on it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pnapo.commands import common

if TYPE_CHECKING:
    from pnapo.config.schema import Config, TestSet


def add(commands: argparse._SubParsersAction) -> None:
    generate = commands.add_parser("generate", help="make images of your prompts with a model or a checkpoint")
    generate.add_argument("--model", required=True, metavar="NAME", help="a name under `models`")
    generate.add_argument("--policy", type=Path, metavar="FOLDER", help="a checkpoint of pnapo: LoRA or full weights")
    generate.add_argument(
        "--prompts", required=True, nargs="+", metavar="FILE|TEXT", help="lists of prompts, or prompts"
    )
    generate.add_argument(
        "--images", type=common.at_least(1), metavar="N", help="images of each prompt (default: 1; a pair set's: 2)"
    )
    generate.add_argument(
        "--seed", type=common.at_least(0), help="of the prior noises (default, here and below: those of `pairs`)"
    )
    generate.add_argument("--steps", type=common.at_least(1), help="Euler steps")
    generate.add_argument("--guidance", type=common.at_least(1, float), help="guidance scale; 1 is off")
    generate.add_argument(
        "--batch",
        type=common.at_least(1),
        metavar="N",
        help="images made at once; a batch is always filled up (default: `tests.batch` of the model, else `pairs.batch`)",
    )
    generate.add_argument(
        "--keep-noise", action="store_true", help="keep prior noises and latents as well: FOLDER is a pair set then"
    )
    generate.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="PNGs, and the table images.csv")
    common.add_config(generate)
    generate.set_defaults(run_command=_generate)


def settings(config: "Config", args: argparse.Namespace) -> "TestSet":
    """How the images are made: what the command line says, else the configuration of the model."""
    from pnapo.config import pairs_of
    from pnapo.config.schema import TestSet

    names, tested = {"seed", "steps", "guidance", "batch"}, config.models[args.model].tests.batch
    usual = pairs_of(config, args.model).model_dump(include=names) | ({"batch": tested} if tested else {})
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return TestSet(images=args.images or (2 if args.keep_noise else 1), **usual | given)


def _generate(args: argparse.Namespace) -> None:
    from pnapo.benchmarks.own import generate
    from pnapo.prompts.sources import gather_prompts

    config = common.configuration(args)
    model, prompts = common.entry(config.models, args.model, "model"), gather_prompts(args.prompts)
    wanted, device = settings(config, args), common.run_models(args, config)
    table = generate(
        model, prompts, wanted, args.out, policy=args.policy, keep_noise=args.keep_noise, device=device, log=common.log
    )
    print(f"{args.out}: {len(table)} images of {len(prompts)} prompts; images.csv says which is which")
