"""A copy of the project's sources, to be run, changed and broken."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("Snakefile", "rules", "profiles", "envs", "pnapo", "workflow_scripts")


def copy_sources(folder: Path, config: Path = ROOT / "config.yaml", more: tuple[str, ...] = ()) -> None:
    """Make `folder` a project with a configuration of its own and `more` of our files; the shipped weights are linked."""
    folder.mkdir(parents=True)
    for name in (*NEEDED, *more):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    shutil.copy(config, folder / "config.yaml")
    (folder / "assets").symlink_to(ROOT / "assets")
