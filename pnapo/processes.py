"""A script run as several processes, through `accelerate launch`: on one machine, or on all nodes of a SLURM job."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pnapo.errors import Terminated, UserError
from pnapo.refusals import ending

SETTINGS = Path(__file__).with_name("accelerate.yaml")
GRACE = 600  # seconds that processes have to save their work when they are asked to end


def die_with_parent() -> None:
    """On Linux: SIGKILL for this process when its parent ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextmanager
def asked_to_end() -> Iterator[Callable[[], bool]]:
    """Inside the block SIGTERM ends nothing; the function it gives tells whether one has come, to be asked between steps.

    In a thread that is not the main one signals cannot be caught, and stay as they are.
    """
    came: list[int] = []
    try:
        usual = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    except ValueError:
        yield lambda: False
        return
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, usual)


def launched() -> bool:
    """Whether this process is one of several that `launch` started."""
    return "LOCAL_RANK" in os.environ


def launch(script: str, arguments: Sequence[str], *, processes: int, nodes: int = 1, module: bool = False) -> None:
    """Run `script` as `processes` processes, equally many on each of `nodes` nodes, and wait for all of them.

    With `module`, `script` is the name of one, as behind `python -m`. Several nodes are those of the SLURM job that this
    process runs in; it has to be on the first of them. The processes share OMP_NUM_THREADS threads on each node. What they
    print is passed on. Raises UserError with what the first failing process said, or if the processes cannot be spread over
    the nodes.
    """
    if nodes < 1 or processes % nodes:
        raise UserError(f"{processes} processes on {nodes} nodes: the number of processes has to be a multiple")
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(SETTINGS), "--multi_gpu"]
    command += ["--num_processes", str(processes), "--num_machines", str(nodes)]
    command += ["--num_cpu_threads_per_process", str(max(1, threads * nodes // processes))]
    command += ["--log_dir", os.devnull]  # else torch leaves an empty folder in the temporary one
    called = ["--module", script] if module else [script]
    if nodes == 1:
        _run([*command, "--main_process_port", "0", *called, *arguments], dict(os.environ))
        return
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job or not shutil.which("srun"):
        raise UserError(f"{nodes} nodes are for jobs of SLURM; set `nodes: 1` elsewhere")
    command += ["--main_process_ip", socket.gethostname(), "--main_process_port", str(_port(job))]
    line = f'exec {shlex.join(command)} --machine_rank "$SLURM_NODEID" {shlex.join([*called, *arguments])}'
    step = ["srun", "--overlap", "--mpi=none", "--cpu-bind=none", "--kill-on-bad-exit=1", f"--nodes={nodes}"]
    step += [f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    # This process is in a step of one node, whose variables would be taken for what the new step shall be.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    _run([*step, "sh", "-c", line], {**outside, "SLURM_JOB_ID": job})


def _port(job: str) -> int:
    """A port for the processes of a SLURM job to meet at, another for each of the jobs that are likely to run at once."""
    return 20000 + int(job) % 12000


def _run(command: list[str], environment: dict[str, str]) -> None:
    """A SIGTERM is for the processes: each ends when it has saved what it can, within GRACE seconds."""
    environment = {**environment, "PET_SHUTDOWN_TIMEOUT": str(GRACE)}  # read by torch's launcher, beside its options
    crew = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
    )
    asked: list[int] = []

    def hand_on(number: int, frame: object) -> None:
        asked.append(number)
        crew.terminate()

    usual, reason, killed = signal.signal(signal.SIGTERM, hand_on), "", 0
    try:
        for line in crew.stdout:
            text = line.decode("utf-8", "replace")
            print(text, end="", flush=True)
            if not reason and text.startswith("error: "):
                reason = text.removeprefix("error: ").strip()
            if re.match(
                rf"\s*exitcode\s*: -{signal.SIGKILL:d}\b", text
            ):  # what torch tells of the one that ended first
                killed = -signal.SIGKILL
        if crew.wait():
            if asked:
                raise Terminated(reason or "ended by SIGTERM before the first step")
            raise UserError(
                reason or f"one of the processes {ending(killed or crew.returncode)}; its last lines are above"
            )
    finally:
        signal.signal(signal.SIGTERM, usual)
        if crew.poll() is None:
            crew.terminate()
            try:
                crew.wait(30)
            except subprocess.TimeoutExpired:
                crew.kill()
