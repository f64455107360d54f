"""A script run as several processes, through `accelerate launch`: on one machine, or on all nodes of a SLURM job."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pnapo.errors import Terminated, UserError
from pnapo.refusals import ending

SETTINGS = Path(__file__).with_name("accelerate.yaml")
ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE = 600  # seconds that processes have to save their work when they are asked to end


def die_with_parent() -> None:
    """On Linux: SIGKILL for this process when its parent ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextmanager
def caught(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Inside the block `handler` gets what asks a process to end: SIGTERM, Ctrl-C, the end of a terminal.

    A signal that is ignored stays so; in a thread that is not the main one all stay as they are.
    """
    usual = {number: signal.getsignal(number) for number in ASKING}
    usual = {number: was for number, was in usual.items() if was is not signal.SIG_IGN}
    if threading.current_thread() is not threading.main_thread():
        usual = {}
    for number in usual:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, was in usual.items():
            signal.signal(number, was)


@contextmanager
def asked_to_end() -> Iterator[Callable[[], int]]:
    """Inside the block `caught` signals end nothing; the function it gives tells which came first (0: none), to be asked
    between steps. A second Ctrl-C does not wait for that."""
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if number == signal.SIGINT and number in came and not launched():
            raise KeyboardInterrupt
        came.append(number)

    with caught(note):
        yield lambda: came[0] if came else 0


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
    """A signal to end is for the processes: each ends when it has saved what it can, within GRACE seconds."""
    environment = {**environment, "PET_SHUTDOWN_TIMEOUT": str(GRACE)}  # read by torch's launcher, beside its options
    crew = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,
        start_new_session=True,  # a terminal tells all below it at once; torch's launcher is told once, and by us
    )
    asked: list[int] = []

    def hand_on(number: int, frame: object) -> None:
        if (
            number == signal.SIGINT and number in asked
        ):  # a second Ctrl-C does not wait; its processes end with their parent
            crew.kill()
            raise KeyboardInterrupt
        if not asked:  # its third would end processes that are still saving
            crew.terminate()
        asked.append(number)

    reason, killed = "", 0
    try:
        with caught(hand_on):
            for line in crew.stdout:
                text = line.decode("utf-8", "replace")
                print(text, end="", flush=True)
                if not reason and text.startswith("error: "):
                    reason = text.removeprefix("error: ").strip()
                # What torch tells of the one that ended first.
                if re.match(rf"\s*exitcode\s*: -{signal.SIGKILL:d}\b", text):
                    killed = -signal.SIGKILL
            crew.wait()
        if crew.returncode:
            if asked:
                name = signal.Signals(asked[0]).name
                raise Terminated(reason or f"ended by {name} before the first step", asked[0])
            raise UserError(
                reason or f"one of the processes {ending(killed or crew.returncode)}; its last lines are above"
            )
    finally:
        if crew.poll() is None:
            crew.terminate()
            try:
                crew.wait(30)
            except subprocess.TimeoutExpired:
                crew.kill()
