"""The command `pnapo`: what users do with files of their own, and looks at what was made. Snakemake runs the pipeline itself.

Nothing heavy is imported until a command needs it, so that `--help` answers at once.
"""

import argparse
import os
import sys

from pnapo.commands import config, diff, exchange, generate, label, plan, provenance, score, study, table, train, verify

# In the order of the help: your own files, what was made, the pipeline around it.
COMMANDS = (generate, score, label, train, exchange, verify, diff, table, study, config, plan, provenance)


def _parser() -> argparse.ArgumentParser:
    from pnapo import __version__

    parser = argparse.ArgumentParser(prog="pnapo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--version", action="version", version=f"pnapo {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run a command; exits with 1 and one line on stderr for wrong input, with 2 for wrong usage."""
    args = _parser().parse_args(argv)
    args.argv = sys.argv[1:] if argv is None else list(argv)
    if args.debug:
        os.environ["PNAPO_DEBUG"] = "1"
    from pnapo.scripting import guard

    try:
        guard(lambda: args.run_command(args))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
