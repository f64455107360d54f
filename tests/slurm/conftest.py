"""A SLURM of two nodes, a copy of the project, and `snakemake --profile slurm` run in it as a user would."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from trust.sources import copy_sources

HERE = Path(__file__).parent
PATIENCE = 3600  # seconds for anything that has to happen

Job = dict[str, str]


class Slurm:
    """The cluster: what its jobs are now."""

    node = "one"  # where all jobs run but those that ask for two nodes

    @staticmethod
    def run(*command: str) -> str:
        """The output of a command of SLURM's; none may hang where the controller is down."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    @staticmethod
    def wait_for(what: Callable[[], object], told: str) -> object:
        """The first true value of `what()`."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"waited in vain for {told}")

    def jobs(self) -> dict[str, Job]:
        """The fields of every job that SLURM still knows, by job id."""
        lines = self.run("scontrol", "show", "job", "--details", "--oneliner").splitlines()
        parsed = [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines]
        return {job["JobId"]: job for job in parsed if "JobId" in job}

    @staticmethod
    def has_processes(job: str) -> bool:
        """Whether something of a job still runs, whatever the controller thinks."""
        return not subprocess.run(["pgrep", "-f", rf"^slurmstepd: \[{job}\."], stdout=subprocess.DEVNULL).returncode

    def of_rule(self, rule: str, *states: str) -> list[Job]:
        """Jobs of a rule or group in one of these states, oldest first."""
        jobs = sorted(self.jobs().values(), key=lambda job: int(job["JobId"]))
        named = [job for job in jobs if job.get("Comment", "").startswith(f"rule_{rule}")]
        return [job for job in named if not states or job["JobState"] in states]


class Watch:
    """Snapshots of all jobs, taken while a workflow runs."""

    def __init__(self, slurm: Slurm):
        self.slurm, self.seen, self._stop = slurm, [], threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.3):
            with suppress(subprocess.SubprocessError):  # a controller that is busy for long is asked again
                self.seen.append(self.slurm.jobs())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Project:
    """A copy of the sources with the small configuration and a profile adapted to the test cluster, as a user does it."""

    def __init__(self, folder: Path):
        self.folder = folder
        copy_sources(folder, HERE / "tiny.yaml", ("slurm",))
        self.profile = yaml.safe_load((folder / "slurm" / "config.yaml").read_text("utf-8"))
        for resources in self.profile["set-resources"].values():
            resources.update(mem_mb="1500 * attempt")
        self.profile |= {"jobs": 6, "latency-wait": 5, "seconds-between-status-checks": 2}
        self.profile["slurm-init-seconds-before-status-checks"] = 2
        del self.profile["set-threads"]
        self.profile["default-resources"] = {"mem_mb": "1000 * attempt", "runtime": "20 * attempt"}
        self.profile["set-resources"]["train"]["runtime"] = "30 * attempt"
        self.write_profile()

    def write_profile(self, **train: object) -> None:
        """Write slurm/config.yaml, with other resources of `train`."""
        profile = {**self.profile, "set-resources": {**self.profile["set-resources"]}}
        profile["set-resources"]["train"] = {**profile["set-resources"]["train"], **train}
        (self.folder / "slurm" / "config.yaml").write_text(yaml.safe_dump(profile), "utf-8")

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start `snakemake --profile slurm` here; its output goes to a file."""
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", "config.yaml", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        with open(self.folder / "screen.txt", "wb") as screen:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=screen, stderr=screen, start_new_session=True
            )

    def finish(self, process: subprocess.Popen) -> str:
        """Wait for a started Snakemake, which has to succeed; returns what it said."""
        code = process.wait(PATIENCE)
        assert code == 0, self.screen()[-6000:]
        return self.screen()

    def screen(self) -> str:
        """What the last started Snakemake has said so far."""
        return (self.folder / "screen.txt").read_text("utf-8", "replace")

    @property
    def checkpoint(self) -> Path:
        return self.folder / "results" / "runs" / "sd3" / "pnapo-s0"

    @property
    def target(self) -> tuple[str, str]:
        """Arguments that ask for the training alone."""
        return "--", str(self.checkpoint.relative_to(self.folder) / "manifest.json")

    def run_here(self, *arguments: str) -> None:
        """Run Snakemake without SLURM; it has to succeed."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-6000:]

    def start_training(self) -> subprocess.Popen:
        """Start the training from nothing, and return when it has left a state to resume from."""
        shutil.rmtree(self.checkpoint)
        process = self.start(*self.target)
        state = self.checkpoint.with_name(f".{self.checkpoint.name}.work") / "state.pt"
        Slurm.wait_for(lambda: state.exists() or process.poll() is not None, "a state of the training")
        assert process.poll() is None, self.screen()
        return process

    def log(self) -> str:
        """The log of the training."""
        return (self.folder / "results" / "logs" / "train" / "sd3" / "pnapo-s0.log").read_text("utf-8")

    def losses(self) -> list[float]:
        """The loss of each step of the training."""
        return [
            json.loads(line)["loss"] for line in (self.checkpoint / "train_log.jsonl").read_text("utf-8").splitlines()
        ]

    def weights(self) -> bytes:
        return (self.checkpoint / "pytorch_lora_weights.safetensors").read_bytes()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The test cluster, up and idle; stopped at the end."""
    if os.geteuid() or not all(map(shutil.which, ("sbatch", "slurmctld", "slurmd", "munged"))):
        pytest.skip("a test cluster needs root and SLURM: apt install slurm-wlm munge")
    folder = tmp_path_factory.mktemp("slurm")
    for part in (folder, *folder.parents[:2]):
        part.chmod(0o755)  # munge wants to be reached
    script = str(HERE / "cluster.sh")
    subprocess.run([script, "start", str(folder)], check=True, timeout=PATIENCE)
    try:
        yield Slurm()
    finally:
        subprocess.run([script, "stop", str(folder)], check=True, timeout=PATIENCE)


@pytest.fixture(scope="session")
def story(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Watch]]:
    """A project after `snakemake --profile slurm`, and what was seen of its jobs."""
    project = Project(tmp_path_factory.mktemp("project") / "pnapo")
    with Watch(slurm) as watch:
        process = project.start()
        try:
            project.finish(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    yield project, watch


@pytest.fixture(scope="session")
def trained(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, bytes]:
    """A project whose training has run without SLURM and undisturbed, and the weights that it gave."""
    project = Project(tmp_path_factory.mktemp("trained") / "pnapo")
    project.run_here(*project.target)
    return project, project.weights()
