# What has to be there before anything starts; ends with one line if it is not.
from configparser import ConfigParser
from difflib import get_close_matches

from snakemake.cli import get_argument_parser


def asked_for():
    """The targets on the command line; none if Snakemake was started by a program, not by its command."""
    if "snakemake" not in Path(sys.argv[0]).parts[-2:]:
        return []
    return [str(target) for target in get_argument_parser().parse_args(sys.argv[1:]).targets]


def require(setting, path, exists=os.path.isfile):
    """End with one line if a file that the configuration names is not there, unless it is about to be fetched."""
    if path and not exists(path) and not any(target.startswith("fetch") for target in asked_for()):
        fetched = any(Path(path).is_relative_to(download.path) for download in CONFIG.downloads.values())
        hint = "; `snakemake fetch` brings it, where there is a network" if fetched else ""
        sys.exit(f"error: {setting}: {path}: no such {'file' if exists is os.path.isfile else 'folder'}{hint}")


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
    for target in asked_for():
        if "/" not in target and target not in (*stages, *runs) and not os.path.exists(target):
            near = get_close_matches(target, [*runs, *stages], 1)
            others = f"runs are {', '.join(runs) or 'none'}; stages stand in rules/targets.smk"
            hint = f"did you mean {near[0]}?" if near else others
            sys.exit(f"error: {target}: no run, stage or file is called so; {hint}")


refuse_hard_links()
require("prompts.source.path", CONFIG.prompts.source.path)
require("published", CONFIG.published)
for name, testset in CONFIG.testsets.items():
    require(f"testsets.{name}.path", testset.path)
for name, metric in CONFIG.metrics.items():
    if metric.detector == "mask2former":
        require(f"metrics.{name}.mask2former.model", metric.mask2former.model, os.path.isdir)
for name, dataset in CONFIG.datasets.items():
    require(f"datasets.{name}.path", dataset.path, os.path.exists)
    if not dataset_files(name):
        sys.exit(f"error: datasets.{name}.path: {dataset.path}: holds no .parquet file")
for name in CONFIG.backbones:
    if not CONFIG.models[name].path.startswith("assets/world/"):  # `snakemake world` may be about to make those
        require(f"models.{name}.path", CONFIG.models[name].path, os.path.isdir)
