"""What a batch system sends to a job arrives at its script, through all that stands between."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

SCRIPT = """
import pathlib, signal, sys, time

def heard(number, frame):
    pathlib.Path("heard").write_text(str(number))
    sys.exit(143)

signal.signal(signal.SIGTERM, heard)
pathlib.Path("began").touch()
time.sleep(60)
"""


def told_to_do(process: psutil.Process) -> str:
    """Its command line; empty for one that has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.parametrize("warm", ["0", "1"])
def test_sigterm_for_the_shell_of_a_job_is_one_for_its_script(new_project, warm) -> None:
    project = new_project()
    (project.folder / "workflow_scripts/write_testset.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/testsets/heldout.parquet"]
    environment = {**os.environ, "PNAPO_WARM": warm, "XDG_CACHE_HOME": str(project.folder / ".cache")}
    with subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        while not (project.folder / "began").exists() and running.poll() is None:
            time.sleep(0.05)
        (shell,) = [child for child in psutil.Process(running.pid).children() if "write_testset" in told_to_do(child)]
        shell.send_signal(signal.SIGTERM)  # to it alone, not to its group
        said = running.communicate(timeout=900)[0]
    assert (project.folder / "heard").read_text() == str(int(signal.SIGTERM)), said
    assert running.returncode == 1 and "Error in rule write_testset" in said
