"""What commands on a user's own files share: the configuration, its named entries, and how models are run."""

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

CONFIG = "config.yaml"


def add_overlays(parser: argparse.ArgumentParser) -> None:
    """The option of every command that reads the configuration: files laid on config.yaml, as Snakemake's --configfile."""
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="FILE", help="overlays over config.yaml, such as config/paper.yaml"
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """The options of a command that runs models of the configuration."""
    add_overlays(parser)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="where models run (default: as configured)")


def at_least(low: int, kind: type = int) -> Callable[[str], Any]:
    """An argparse type: a number from `low` on."""

    def parse(text: str) -> Any:
        try:
            if kind(text) >= low:
                return kind(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number from {low} on")

    return parse


def configuration(args: argparse.Namespace) -> Any:
    """The configuration of these options, as the workflow has it."""
    from pnapo.config import load_config

    return load_config(CONFIG, args.config)


def entry(section: Mapping[str, Any], name: str, what: str) -> Any:
    """A named entry of the configuration. Raises UserError that says which there are."""
    from pnapo.errors import UserError

    if name not in section:
        raise UserError(f"no {what} is called {name}; there is {', '.join(section)}")
    return section[name]


def run_models(args: argparse.Namespace, config: Any) -> str:
    """Set this process up for models, as the workflow does its jobs, with all processors; returns the device."""
    from pnapo import scripting

    quiet = {"TQDM_DISABLE": "1"}  # bars of the libraries, in which a command's own lines would drown
    for name, value in {**scripting.ENVIRONMENT, **quiet}.items():
        os.environ.setdefault(name, value)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(count))
    return scripting.pick_device(args.device or config.device)


def log(line: str) -> None:
    """A line of progress."""
    from pnapo.text import presentable

    print(presentable(line), flush=True)
