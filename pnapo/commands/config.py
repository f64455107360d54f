"""`pnapo config`: check, show or document the configuration."""

import argparse

from pnapo.commands import common


def add(commands: argparse._SubParsersAction) -> None:
    config = commands.add_parser("config", help="check, show or document the configuration")
    actions = config.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="validate a configuration and its overlays")
    common.add_overlays(check)
    check.set_defaults(run_command=_check)
    show = actions.add_parser("show", help="print it with all defaults, or the settings of one run")
    common.add_overlays(show)
    show.add_argument("--run", help="only this run's resolved settings")
    show.add_argument("--backbone", help="on this backbone (default: the first)")
    show.set_defaults(run_command=_show)
    docs = actions.add_parser("docs", help="write docs/configuration.md and config/schema.json from the schema")
    docs.add_argument("--root", default=".", help="root of the repository")
    docs.set_defaults(run_command=_docs)


def _check(args: argparse.Namespace) -> None:
    from pnapo.config import policies

    config = common.configuration(args)
    runs = sum(len(policies(config, backbone)) - 1 for backbone in config.backbones)
    print(f"{' + '.join([common.CONFIG, *args.config])}: ok ({', '.join(config.backbones)}; {runs} training runs)")


def _show(args: argparse.Namespace) -> None:
    import yaml

    from pnapo.config import resolve_run
    from pnapo.errors import UserError

    if args.backbone and not args.run:
        raise UserError("--backbone: name the run whose settings to show on it, with --run")
    config = common.configuration(args)
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
