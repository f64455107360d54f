"""A copy of the project whose workflow runs, is watched, and can be hit."""

import json
import os
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from trust.project import Project


class Job(NamedTuple):
    """A running job: its script and the process that Snakemake's shell waits for."""

    script: str
    process: psutil.Process


class Disturbed(Project):
    """A project in which one Snakemake runs at a time.

    The warm process belongs to this program, so that it need not import the libraries again after every kill.
    """

    def again(self, targets: Sequence[str] = ()) -> subprocess.Popen:
        """Start the workflow with two cores, as a user does; of `targets`, if there are some."""
        return self.start("--cores", "2", *(["--", *targets] if targets else []))

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
