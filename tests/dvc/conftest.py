"""A git repository of the project with DVC and a remote in a folder, in which the small experiment has been run and pushed."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from trust.sources import copy_sources

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"all", "labels", "train_all", "benchmarks", "tables", "prompts", "pairs", "images", "embeddings", "testsets"}


class Repository:
    """A git repository with the project's sources, and commands run in it as a user would."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command here; stdout and stderr together as `stdout`."""
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment["PYTHONPATH"] = "."
        environment.setdefault("PNAPO_WARM_OWNER", str(os.getpid()))  # one warm process for all runs in a repository
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "tester", f"GIT_{role}_EMAIL": "tester@example.org"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}"
        return done

    def dvc(self, *arguments: str, check: bool = True) -> str:
        return self.run("dvc", *arguments, check=check).stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def commit(self, told: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", told)

    def plan(self, *targets: str) -> Counter:
        """How often each rule would run."""
        said = self.run("snakemake", "--dry-run", "--", *targets).stdout
        if "Nothing to be done" in said:
            return Counter()
        table = said.rpartition("Job stats:")[2]
        jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M)}
        return Counter({rule: count for rule, count in jobs.items() if rule not in TARGETS | {"total"}})

    def set_beta(self, beta: int) -> None:
        """Change β of the run pnapo."""
        file = self.folder / "config.yaml"
        text, found = re.subn(r"(schedule: dynamic, beta: )\d+", rf"\g<1>{beta}", file.read_text("utf-8"))
        assert found == 1
        file.write_text(text, "utf-8")

    def files(self, where: str) -> dict[str, bytes]:
        """Every file below a folder, by its path in the repository."""
        found = sorted(file for file in (self.folder / where).rglob("*") if file.is_file())
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in found}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The author's repository: `dvc repro` from nothing, committed, pushed to a remote in a folder. Not to be changed."""
    base = tmp_path_factory.mktemp("a path") / "with spaces"
    made = Repository(base / "author")
    copy_sources(made.folder, ROOT / "tests/workflow/tiny.yaml", ("dvc.yaml", ".dvcignore", ".gitignore"))
    (made.folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", made.folder / ".dvc" / "config")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.dvc("remote", "add", "--default", "store", str(base / "store"))
    made.dvc("repro")
    made.commit("results")
    made.dvc("push")
    return made


@pytest.fixture
def clone(published: Repository, tmp_path: Path) -> Callable[[], Repository]:
    """clone() is a fresh clone of the author's repository, with nothing pulled."""

    def make(name: str = "reader") -> Repository:
        published.run("git", "clone", "--quiet", str(published.folder), str(tmp_path / name))
        return Repository(tmp_path / name)

    return make
