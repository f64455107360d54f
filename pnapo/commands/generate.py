"""`pnapo generate`: images of a user's prompts by a model of the configuration, or by a checkpoint trained on it."""

import argparse
from pathlib import Path

from pnapo.commands import common


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
        "--keep-noise", action="store_true", help="keep prior noises and latents as well: FOLDER is a pair set then"
    )
    generate.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="PNGs, and the table images.csv")
    common.add_config(generate)
    generate.set_defaults(run_command=_generate)


def _generate(args: argparse.Namespace) -> None:
    from pnapo.benchmarks.own import generate
    from pnapo.config import pairs_of
    from pnapo.config.schema import TestSet
    from pnapo.prompts.sources import gather_prompts

    config = common.configuration(args)
    model, prompts = common.entry(config.models, args.model, "model"), gather_prompts(args.prompts)
    given = {name: getattr(args, name) for name in ("seed", "steps", "guidance") if getattr(args, name) is not None}
    usual = pairs_of(config, args.model).model_dump(include={"seed", "steps", "guidance"})
    wanted = TestSet(images=args.images or (2 if args.keep_noise else 1), **usual | given)
    device = common.run_models(args, config)
    table = generate(
        model, prompts, wanted, args.out, policy=args.policy, keep_noise=args.keep_noise, device=device, log=common.log
    )
    print(f"{args.out}: {len(table)} images of {len(prompts)} prompts; images.csv says which is which")
