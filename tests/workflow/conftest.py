"""A copy of the project in a folder with a space in its name, and Snakemake run in it as a user would."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from trust.sources import copy_sources


class Project:
    """A copy of the sources; the shipped weights are linked."""

    def __init__(self, folder: Path):
        self.folder = folder
        copy_sources(folder)

    def snakemake(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess:
        """Run Snakemake here, with a changed environment; stdout and stderr together as `stdout`."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        environment["XDG_CACHE_HOME"] = str(self.folder / ".cache")
        environment.setdefault("PNAPO_WARM_OWNER", str(os.getpid()))  # one warm process for all runs in a project
        environment |= changed
        return subprocess.run(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def plan(self, *arguments: str) -> Counter:
        """How often each rule would run, without the targets (which run nothing)."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout
        return self.jobs_in(done.stdout)

    @staticmethod
    def jobs_in(told: str) -> Counter:
        """How often each rule would run, of what a plan has printed."""
        if "Nothing to be done" in told:
            return Counter()
        table = told.rpartition("Job stats:")[2]
        jobs = Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M)})
        assert jobs.pop("total") == sum(jobs.values()), told
        for target in ("all", "labels", "train_all", "benchmarks", "tables", "prompts", "pairs", "claims"):
            jobs.pop(target, None)
        return jobs


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Makes a project in which nothing has run."""
    return lambda: Project(tmp_path_factory.mktemp("a path") / "with spaces")


@pytest.fixture(scope="session")
def pristine(new_project: Callable[[], Project]) -> Project:
    """A project in which nothing has run; tests of plans share it and change nothing."""
    return new_project()
