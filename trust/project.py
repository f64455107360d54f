"""A copy of the project in a folder of its own, in which Snakemake runs as a user runs it."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pnapo.artifacts import sha256
from pnapo.diff.story import is_clock
from trust.sources import copy_sources

PATIENCE = 3600  # seconds for a workflow to end; all of them need minutes


class Project:
    """The sources with a configuration of one's own; the shipped weights are linked."""

    def __init__(self, folder: Path, config: Path):
        self.folder = folder
        copy_sources(folder, config)

    @classmethod
    def there(cls, folder: Path) -> "Project":
        """A project that was made before."""
        found = object.__new__(cls)
        found.folder = folder
        return found

    def fork(self, folder: Path) -> "Project":
        """A copy with everything that was made."""
        return Project.there(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def start(self, *arguments: str, **changed: str) -> subprocess.Popen:
        """Start Snakemake here in a process group of its own, its output added to screen.txt, with a changed environment."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        environment |= {"XDG_CACHE_HOME": str(self.folder / ".cache"), "PNAPO_WARM_OWNER": str(os.getpid()), **changed}
        with open(self.folder / "screen.txt", "ab") as handle:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=handle, stderr=handle, start_new_session=True
            )

    def run(self, *arguments: str, **changed: str) -> None:
        """Run Snakemake to its end. Raises RuntimeError with the end of what it said if it fails, or does not end."""
        process = self.start(*arguments, **changed)
        try:
            failed = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            failed = process.wait()
        if failed:
            told = (self.folder / "screen.txt").read_text("utf-8", "replace")
            raise RuntimeError(f"{self.folder}: the workflow failed\n{told[-4000:]}")

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of every result by its path, hidden ones too, but of clocks (`pnapo.diff.story`).

        A file that goes meanwhile, as those of a job that was just killed do, is left out.
        """
        results, found = self.folder / "results", {}
        for path in sorted(Path(folder, name) for folder, _, names in os.walk(results) for name in names):
            name = path.relative_to(results).as_posix()
            with suppress(FileNotFoundError):
                found |= {} if is_clock(name) else {name: sha256(path)}
        return found
