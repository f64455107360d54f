"""A copy of the project whose workflow runs, is watched, and can be hit."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from pnapo.diff.story import is_clock

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "rules", "profiles", "envs", "pnapo", "workflow_scripts")


class Job(NamedTuple):
    """A running job: its script and the process that Snakemake's shell waits for."""

    script: str
    process: psutil.Process


class Disturbed:
    """The sources and a configuration in a folder of their own, and one Snakemake at a time; the shipped weights are linked.

    The warm process belongs to this program, so that it need not import the libraries again after every kill.
    """

    def __init__(self, folder: Path, config: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        shutil.copy(config, folder / "config.yaml")
        (folder / "assets").symlink_to(ROOT / "assets")

    def start(self, targets: Sequence[str] = ()) -> subprocess.Popen:
        """Start the workflow, in a process group of its own, as a user does."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *(["--", *targets] if targets else [])]
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        environment |= {"XDG_CACHE_HOME": str(self.folder / ".cache"), "PNAPO_WARM_OWNER": str(os.getpid())}
        with open(self.folder / "screen.txt", "ab") as screen:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=screen, stderr=screen, start_new_session=True
            )

    def screen(self) -> str:
        """The end of what Snakemake said."""
        return (self.folder / "screen.txt").read_text("utf-8", "replace")[-3000:]

    def jobs(self, snakemake: subprocess.Popen) -> list[Job]:
        """The jobs that run now."""
        found = []
        with suppress(psutil.Error):
            for process in psutil.Process(snakemake.pid).children(recursive=True):
                with suppress(psutil.Error):
                    script = next((word for word in process.cmdline() if word.startswith("workflow_scripts/")), None)
                    found += [Job(Path(script).stem, process)] if script else []
        return found

    def behind(self, job: Job) -> psutil.Process:
        """The process that does a job's work: a fork of the warm process, with the log of the one that the shell waits for."""
        with suppress(OSError):
            log = os.readlink(f"/proc/{job.process.pid}/fd/1")
            for process in psutil.process_iter(["cmdline"]):
                with suppress(OSError):
                    warm = any(word.endswith("warm/server.py") for word in process.info["cmdline"] or ())
                    if warm and os.readlink(f"/proc/{process.pid}/fd/1") == log:
                        return process
        return job.process

    def made_by(self) -> dict[str, list[str]]:
        """The outputs of every script, as Snakemake remembers them."""
        found: dict[str, list[str]] = {}
        top = self.folder / ".snakemake" / "metadata"
        for file in sorted(path for path in top.rglob("*") if path.is_file()):
            name = "".join(part.removeprefix("@") for part in file.relative_to(top).parts)
            command = json.loads(file.read_text("utf-8")).get("shellcmd") or ""
            script = command.partition("workflow_scripts/")[2].partition(".py")[0]
            if script:
                found.setdefault(script, []).append(urlsafe_b64decode(name).decode())
        return found

    def remove(self, output: str) -> None:
        """Remove an output, and the files beside it that it lists if it is a manifest."""
        path = self.folder / output
        if path.suffix == ".json":
            with suppress(ValueError, FileNotFoundError):
                listed = json.loads(path.read_text("utf-8")).get("files", {})
                for name in listed:
                    if "/" not in name:
                        (path.parent / name).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of every result by its path, hidden ones too, but of clocks."""
        results = self.folder / "results"
        files = (path for path in sorted(results.rglob("*")) if path.is_file())
        kept = [path for path in files if not is_clock(path.relative_to(results).as_posix())]
        return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
