"""The command `pnapo`: look at the configuration and at what was made. The pipeline itself is run with Snakemake.

Nothing heavy is imported until a command needs it, so that `--help` answers at once.
"""

import argparse
import os
import sys


def _check(args: argparse.Namespace) -> None:
    from pnapo.config import load_config, policies

    config = load_config(args.files[0], args.files[1:])
    runs = sum(len(policies(config, backbone)) - 1 for backbone in config.backbones)
    print(f"{' + '.join(args.files)}: ok ({', '.join(config.backbones)}; {runs} training runs)")


def _show(args: argparse.Namespace) -> None:
    import yaml

    from pnapo.config import load_config, resolve_run
    from pnapo.errors import UserError

    if args.backbone and not args.run:
        raise UserError("--backbone: name the run whose settings to show on it, with --run")
    config = load_config(args.files[0], args.files[1:])
    shown = config.model_dump(mode="json")
    if args.run:
        if args.run not in config.runs:
            raise UserError(f"no run is called {args.run}; there is {', '.join(config.runs)}")
        backbone = args.backbone or config.backbones[0]
        if backbone not in config.models:
            raise UserError(f"no model is called {backbone}; there is {', '.join(config.models)}")
        shown = {f"{args.run} on {backbone}": resolve_run(config, backbone, args.run)}
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")


def _docs(args: argparse.Namespace) -> None:
    from pnapo.config.docs import write_docs

    for path in write_docs(args.root):
        print(path)


def _verify(args: argparse.Namespace) -> None:
    from pathlib import Path

    from pnapo.artifacts import read_manifest, verify_manifest

    damaged = 0
    for given in map(Path, args.paths):
        path = given / "manifest.json" if given.is_dir() else given
        manifest = read_manifest(path)
        kind = manifest["kind"]
        if kind == "pairs":
            from pnapo.pairs.verify import verify_pairs

            problems = verify_pairs(path)
        else:
            problems = verify_manifest(path)
        foreign = kind == "pairs" and "dataset" in manifest["settings"]
        note = "; images from elsewhere: hashes alone, as they cannot be made again" if foreign else ""
        print("\n".join(problems) or f"{path}: ok ({kind}{note})")
        damaged += bool(problems)
    if damaged:
        raise SystemExit(1)


def _table(args: argparse.Namespace) -> None:
    from pnapo.tables.terminal import show

    show(args.path, args.columns.split(",") if args.columns else None)


def _plan(args: argparse.Namespace) -> None:
    from pnapo.config import load_config
    from pnapo.errors import UserError
    from pnapo.plan import hardware, show
    from pnapo.plan.estimate import estimate
    from pnapo.plan.experiment import Experiment

    if args.gpus < 1:
        raise UserError(f"--gpus: {args.gpus} is not a number of GPUs; give 1 or more")
    config = load_config(args.files[0], [*args.files[1:], *args.config])
    measured = hardware.read_measured(f"{config.results}/benchmarks-gpu.json")
    gpu = args.gpu or hardware.device_of(measured) or hardware.DEFAULT
    plan = estimate(Experiment(config, args.gpus), hardware.rates(gpu, args.utilisation, measured))
    if args.json:
        print(show.as_json(plan, gpu, args.gpus))
    else:
        show.show(plan, gpu, args.gpus)


def _save(args: argparse.Namespace) -> None:
    from pnapo.provenance import save

    print(f"{args.path}: the records of {save(args.path)} outputs")


def _restore(args: argparse.Namespace) -> None:
    from pnapo.provenance import restore

    if args.if_saved and not os.path.exists(args.path):
        return
    found = restore(args.path)
    print(f"{found.known} outputs are as recorded, {found.absent} are not here")
    for output in found.different:
        print(f"{output}: is not what was recorded; Snakemake will decide whether to make it again")


def _study_make(args: argparse.Namespace) -> None:
    from pnapo.study.make import make

    made = make(args.results, args.backbone, args.runs, args.testset, args.pairs, args.seed, args.out)
    print(f"{made.page}: {args.pairs} pairs, study {made.study}; give it to the raters")
    print(f"{made.key}: which run made which picture; keep it to yourself")


def _study_analyse(args: argparse.Namespace) -> None:
    from pnapo.study.analyse import analyse

    table = analyse(args.key, args.answers, args.out)
    print(f"{args.out}: {table['raters'].iloc[0]} raters, {table['pairs'].sum() // table['question'].nunique()} pairs")


def _parser() -> argparse.ArgumentParser:
    from pnapo import __version__

    parser = argparse.ArgumentParser(prog="pnapo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--version", action="version", version=f"pnapo {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    config = commands.add_parser("config", help="check, show or document the configuration")
    actions = config.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="validate a configuration and its overlays")
    check.add_argument("files", nargs="*", default=["config.yaml"], metavar="FILE")
    check.set_defaults(run_command=_check)
    show = actions.add_parser("show", help="print it with all defaults, or the settings of one run")
    show.add_argument("files", nargs="*", default=["config.yaml"], metavar="FILE")
    show.add_argument("--run", help="only this run's resolved settings")
    show.add_argument("--backbone", help="on this backbone (default: the first)")
    show.set_defaults(run_command=_show)
    docs = actions.add_parser("docs", help="write docs/configuration.md and config/schema.json from the schema")
    docs.add_argument("--root", default=".", help="root of the repository")
    docs.set_defaults(run_command=_docs)

    plan = commands.add_parser("plan", help="what an experiment would cost: jobs, GPU-hours, GPU memory, disk")
    plan.add_argument("files", nargs="*", default=["config.yaml"], metavar="FILE", help="a configuration and overlays")
    plan.add_argument(
        "--config", nargs="+", default=[], metavar="FILE", help="more overlays, as --configfile of Snakemake"
    )
    plan.add_argument("--gpu", help="h100 (the default), h800, a100-80, l40s, rtx4090, …; a wrong name lists all")
    plan.add_argument(
        "--gpus", type=int, default=1, help="how many of them, for the hours it takes at best and for sharded runs"
    )
    plan.add_argument("--utilisation", type=float, help="share of the peak that transformers reach (default: 0.4)")
    plan.add_argument("--json", action="store_true", help="print JSON, for machines")
    plan.set_defaults(run_command=_plan)

    verify = commands.add_parser("verify", help="prove artefacts intact: hashes, and the noise of pair sets")
    verify.add_argument("paths", nargs="+", metavar="PATH", help="a manifest.json or its folder")
    verify.set_defaults(run_command=_verify)

    provenance = commands.add_parser("provenance", help="carry Snakemake's records of what made each output")
    actions = provenance.add_subparsers(metavar="ACTION", required=True)
    for name, command, told in (
        ("save", _save, "write the records of all outputs here (a run does it by itself)"),
        ("restore", _restore, "after git clone and dvc pull: let Snakemake know how the outputs were made"),
    ):
        action = actions.add_parser(name, help=told)
        action.add_argument("path", nargs="?", default="results/provenance.json")
        action.set_defaults(run_command=command)
    action.add_argument("--if-saved", action="store_true", help="do nothing if there is no such file yet")

    table = commands.add_parser("table", help="print a table of results")
    table.add_argument("path", help="a .csv of results/tables")
    table.add_argument("--columns", help="only these, in this order: a,b,c")
    table.set_defaults(run_command=_table)

    study = commands.add_parser("study", help="let people compare the images of runs, blind")
    actions = study.add_subparsers(metavar="ACTION", required=True)
    make = actions.add_parser("make", help="write the page for the raters, and its key")
    make.add_argument("--results", default="results", metavar="FOLDER")
    make.add_argument("--backbone", required=True)
    make.add_argument(
        "--runs", required=True, nargs="+", metavar="RUN", help="with its seed, such as pnapo-s0; or base"
    )
    make.add_argument("--testset", required=True)
    make.add_argument("--pairs", type=int, default=20, help="pairs that each rater sees (default: 20)")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--out", default="study.html", help="the page; the key is called alike, .key.json")
    make.set_defaults(run_command=_study_make)
    analyse = actions.add_parser("analyse", help="make a table of what the raters said")
    analyse.add_argument("key", help="the study's .key.json")
    analyse.add_argument("answers", nargs="+", metavar="ANSWERS", help="the files that raters saved")
    analyse.add_argument("--out", default="results/tables/study.csv", help="the table; .md and .tex beside it")
    analyse.set_defaults(run_command=_study_analyse)
    return parser


def _perform(args: argparse.Namespace) -> None:
    from pnapo.errors import UserError

    try:
        args.run_command(args)
    except BrokenPipeError:
        raise
    except OSError as error:  # a folder where a file should be, a file that may not be read
        raise UserError(f"{error.filename}: {error.strerror}") from error


def main(argv: list[str] | None = None) -> None:
    """Run a command; exits with 1 and one line on stderr for wrong input, with 2 for wrong usage."""
    args = _parser().parse_args(argv)
    if args.debug:
        os.environ["PNAPO_DEBUG"] = "1"
    from pnapo.scripting import guard

    try:
        guard(lambda: _perform(args))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
