# What has to be there before anything starts. A plan (`-n` and its kin) tells what is missing; a run ends with it.
from configparser import ConfigParser
from difflib import get_close_matches

from snakemake.cli import get_argument_parser

# Options with which nothing is made.
LOOKS = ("dryrun", "dag", "rulegraph", "filegraph", "d3dag", "lint", "list_rules", "list_target_rules", "summary")
LOOKS += ("detailed_summary", "list_changes", "report", "unlock", "cleanup_metadata", "archive", "containerize")


def command_line():
    """The options of the `snakemake` command; none if it was started by a program."""
    if "snakemake" not in Path(sys.argv[0]).parts[-2:]:
        return None
    return get_argument_parser().parse_args(sys.argv[1:])


COMMAND = command_line()
ASKED_FOR = [str(target) for target in COMMAND.targets] if COMMAND else []
LOOKING = COMMAND is not None and any(getattr(COMMAND, option, None) for option in LOOKS)


def require_files():
    """End with a line for each file that the configuration names and that is not there, unless it is about to be fetched."""
    if any(target.startswith("fetch") for target in ASKED_FOR):
        return
    absent = missing(CONFIG, ASKED_FOR)
    overlays = [path for path in map(os.path.relpath, workflow.configfiles) if path != "config.yaml"]
    if absent and LOOKING:
        print("\n".join(["note: a run will not start:", *told(CONFIG, absent, overlays)]), file=sys.stderr)
    elif absent:
        sys.exit("error: " + "\n".join(told(CONFIG, absent, overlays)))


def refuse_hard_links():
    """End with one line if DVC shares files with its cache by hard links: their outputs could not be made again."""
    settings = ConfigParser()
    settings.read([".dvc/config", ".dvc/config.local"])
    if "hardlink" in settings.get("cache", "type", fallback=""):
        sys.exit(
            "error: .dvc/config: cache.type hardlink keeps Snakemake from making results again; "
            "run `dvc config cache.type reflink,symlink,copy`, then `dvc checkout --relink`"
        )


def require_targets():
    """End with one line if a target on the command line is neither a file nor the name of a rule; says which there are."""
    stages, runs = [rule.name for rule in workflow.rules if rule.name not in CONFIG.runs], list(CONFIG.runs)
    for target in ASKED_FOR:
        if "/" not in target and target not in (*stages, *runs) and not os.path.exists(target):
            near = get_close_matches(target, [*runs, *stages], 1)
            others = f"runs are {', '.join(runs) or 'none'}; stages stand in rules/targets.smk"
            hint = f"did you mean {near[0]}?" if near else others
            sys.exit(f"error: {target}: no run, stage or file is called so; {hint}")


refuse_hard_links()
if workflow.is_main_process:
    require_files()
