"""`pnapo train`: a training on pairs that lie somewhere, without the workflow. Run again, it goes on where it was."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pnapo.commands import common

if TYPE_CHECKING:
    from pnapo.config.schema import Config, Run
    from pnapo.training.inputs import Inputs


def add(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser("train", help="train a run on a pair set of your own")
    train.add_argument("--pairs", required=True, type=Path, metavar="FOLDER", help="a pair set, ours or exported")
    train.add_argument("--labels", required=True, metavar="NAME|FILE", help="a reward of its labels/, or a label table")
    train.add_argument(
        "--run", required=True, metavar="NAME|FILE", help="a name under `runs`, or a run's settings (YAML)"
    )
    train.add_argument(
        "--model", required=True, metavar="NAME", help="a name under `models`: that which made the pairs"
    )
    train.add_argument(
        "--prompts", type=Path, metavar="FILE", help="the pairs' prompts (default: those kept with them)"
    )
    train.add_argument("--seed", type=common.at_least(0), default=0, help="training seed (default: 0)")
    train.add_argument("--processes", type=common.at_least(1), default=1, help="GPUs that train together (default: 1)")
    train.add_argument(
        "--tracker", choices=["none", "tensorboard", "trackio", "wandb"], help="told the log (default: as configured)"
    )
    train.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the checkpoint's folder")
    common.add_config(train)
    train.set_defaults(run_command=_train)


def _train(args: argparse.Namespace) -> None:
    from pnapo import gpus, processes
    from pnapo.training.inputs import finish, prepare
    from pnapo.training.tracker import require

    args.out = args.out.resolve()  # `.` has no name to put work beside
    config = common.configuration(args)
    model, run = common.entry(config.models, args.model, "model"), _run(config, args)
    tracker = args.tracker or config.tracker
    require(tracker)
    if (args.device or config.device) != "cpu":
        gpus.lease(args.processes)
    device = common.run_models(args, config)
    if processes.launched():
        processes.die_with_parent()
    inputs = prepare(args.pairs, args.labels, args.prompts, run, model, args.out, device, common.log)
    if args.processes > 1 and not processes.launched():  # each of them comes here again, and finds the inputs made
        processes.launch("pnapo", args.argv, processes=args.processes, module=True)
    else:
        _work(args, config, run, inputs, tracker, device)
    if not processes.launched():
        finish(args.out)
        print(f"{args.out}: a checkpoint; its README.md says how to load it")


def _work(args: argparse.Namespace, config: "Config", run: "Run", inputs: "Inputs", tracker: str, device: str) -> None:
    from pnapo.config import draw_seed
    from pnapo.training.from_files import train_on_files
    from pnapo.training.tracker import Tracker

    train_on_files(
        **inputs._asdict(),
        model=config.models[args.model],
        run=run,
        seed=args.seed,
        draw_seed=draw_seed(config, run.path, args.seed),
        device=device,
        watch=config.watch,
        tracker=None if tracker == "none" else Tracker(tracker, args.out.parent / tracker / args.out.name),
        out=args.out,
        keep=True,
        log=common.log,
    )


def _run(config: "Config", args: argparse.Namespace) -> "Run":
    """The settings of a run on the model, from the configuration or from a file; its `reward` says whose labels it has."""
    from pnapo.config import load_config, resolve_run
    from pnapo.config.loading import read_yaml
    from pnapo.config.schema import Run
    from pnapo.errors import UserError

    name = args.run
    if Path(name).suffix in (".yaml", ".yml"):
        given, name = read_yaml(name), "run_of_file"
        try:
            config = load_config(common.CONFIG, args.config, {"runs": {name: given}})
        except UserError as error:
            raise UserError(f"{args.run}: {str(error).partition(f'runs.{name}.')[2] or error}") from None
    common.entry(config.runs, name, "run")
    return Run(**resolve_run(config, args.model, name)).model_copy(update={"reward": Path(args.labels).stem})
