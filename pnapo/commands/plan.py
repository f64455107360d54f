"""`pnapo plan`: what an experiment would cost."""

import argparse

from pnapo.commands import common


def add(commands: argparse._SubParsersAction) -> None:
    plan = commands.add_parser("plan", help="what an experiment would cost: jobs, GPU-hours, GPU memory, disk")
    common.add_overlays(plan)
    plan.add_argument("--gpu", help="h100 (the default), h800, a100-80, l40s, rtx4090, …; a wrong name lists all")
    plan.add_argument(
        "--gpus", type=int, default=1, help="how many of them, for the hours it takes at best and for sharded runs"
    )
    plan.add_argument("--utilisation", type=float, help="share of the peak that transformers reach (default: 0.4)")
    plan.add_argument("--json", action="store_true", help="print JSON, for machines")
    plan.set_defaults(run_command=_plan)


def _plan(args: argparse.Namespace) -> None:
    from pnapo.errors import UserError
    from pnapo.plan import hardware, show
    from pnapo.plan.estimate import estimate
    from pnapo.plan.experiment import Experiment

    if args.gpus < 1:
        raise UserError(f"--gpus: {args.gpus} is not a number of GPUs; give 1 or more")
    config = common.configuration(args)
    measured = hardware.read_measured("results/benchmarks-gpu.json")  # where `make bench-gpu` puts it
    gpu = args.gpu or hardware.device_of(measured) or hardware.DEFAULT
    plan = estimate(Experiment(config, args.gpus), hardware.rates(gpu, args.utilisation, measured))
    if args.json:
        print(show.as_json(plan, gpu, args.gpus))
    else:
        show.show(plan, gpu, args.gpus)
