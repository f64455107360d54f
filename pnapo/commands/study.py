"""`pnapo study`: let people compare the images of runs, blind."""

import argparse


def add(commands: argparse._SubParsersAction) -> None:
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
    make.set_defaults(run_command=_make)
    analyse = actions.add_parser("analyse", help="make a table of what the raters said")
    analyse.add_argument("key", help="the study's .key.json")
    analyse.add_argument("answers", nargs="+", metavar="ANSWERS", help="the files that raters saved")
    analyse.add_argument("--out", default="results/tables/study.csv", help="the table; .md and .tex beside it")
    analyse.set_defaults(run_command=_analyse)


def _make(args: argparse.Namespace) -> None:
    from pnapo.study.make import make

    made = make(args.results, args.backbone, args.runs, args.testset, args.pairs, args.seed, args.out)
    print(f"{made.page}: {args.pairs} pairs, study {made.study}; give it to the raters")
    print(f"{made.key}: which run made which picture; keep it to yourself")


def _analyse(args: argparse.Namespace) -> None:
    from pnapo.study.analyse import analyse

    table = analyse(args.key, args.answers, args.out)
    print(f"{args.out}: {table['raters'].iloc[0]} raters, {table['pairs'].sum() // table['question'].nunique()} pairs")
