"""Kills of real Snakemakes: the same command goes on, nothing hangs, no job runs beside its own repetition."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pnapo import restart
from pnapo.errors import UserError
from pnapo.owner import VARIABLE, Owner

ROOT = Path(__file__).resolve().parents[1]

SNAKEFILE = """
import os, sys
from pnapo.restart import end_orderly, take_over

JOB = os.environ["JOB"]

onstart:
    if os.environ.get("TRAP"):
        exec(os.environ["TRAP"], globals())
    end_orderly(workflow.scheduler, lambda: [job.pid for job in list(shell._processes.values())], logger.info)

rule all:
    input: "one.txt", "two.txt"

rule make:
    output: "{name}.txt"
    shell: ". {JOB}; job {sys.executable} job.py {wildcards.name} {output} 2> {wildcards.name}.err"

take_over(logger.info)
"""

# Ends when there is a file `go`. Being told to end, it says so.
JOB = """
import os, signal, sys, time
from pnapo import scripting
def told(number, frame):
    open(f"{sys.argv[1]}.told", "a").write("x")
    if not os.path.exists("stubborn"):
        sys.exit(1)
def main():
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    open(f"{sys.argv[1]}.pid", "w").write(str(os.getpid()))
    while not os.path.exists("go"):
        time.sleep(0.05)
    open(sys.argv[2], "w").write("made")
scripting.run(main)
"""


PATIENCE = 900  # seconds for anything that has to happen: a start of Snakemake takes minutes on a busy machine


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def alive(pid):
    """Also where nobody waits for orphans, so that they stay zombies."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Project:
    """A folder with two jobs that wait."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "job.py").write_text(JOB)

    def start(self, *arguments: str, **changed: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--rerun-incomplete", *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JOB": str(ROOT / "rules/helpers/job.sh"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            **changed,
        }
        output = open(self.folder / "screen.txt", "a")  # noqa: SIM115
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )

    def ended(self, process: subprocess.Popen) -> int:
        """Its exit status."""
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            tree = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
            raise AssertionError(f"processes {tree} do not end; {self.screen()}") from None

    def running(self) -> subprocess.Popen:
        """A Snakemake whose two jobs are at work."""
        process = self.start()
        until(lambda: len(self.jobs()) == 2 and all(map(alive, self.jobs())))
        return process

    def jobs(self) -> list[int]:
        return [int(file.read_text()) for file in self.folder.glob("*.pid") if file.read_text()]

    def told(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("*.told"))

    def finish(self) -> None:
        """The same command, plainly."""
        (self.folder / "go").touch()
        assert self.ended(self.start()) == 0, self.screen()
        assert all((self.folder / f"{name}.txt").read_text() == "made" for name in ("one", "two"))
        assert not list((self.folder / ".snakemake" / "owners").glob("*.json"))
        assert not (self.folder / ".snakemake" / "locks").exists()

    def screen(self) -> str:
        return (self.folder / "screen.txt").read_text()


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    for pid in made.jobs():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.slow
def test_a_signal_ends_jobs_and_snakemake_and_leaves_no_lock(project, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests were started so that it is ignored (in the background, with nohup)")
    process = project.running()
    process.send_signal(number)  # to Snakemake alone
    assert project.ended(process) == 1 and project.told() == ["one", "two"]
    assert not any(map(alive, project.jobs())) and "running jobs are told" in project.screen()
    assert not (project.folder / ".snakemake" / "locks").exists()
    project.finish()


# The main thread gets the signal just while it holds the lock that Snakemake's own handler waits for.
TRAP = """
import signal
from threading import Lock
class Trap:
    def __init__(self): self.lock, self.set = Lock(), True
    def __enter__(self):
        self.lock.acquire()
        if self.set:
            self.set = False
            os.kill(os.getpid(), signal.SIGTERM)
    def __exit__(self, *_): self.lock.release()
workflow.scheduler._lock = Trap()
"""


@pytest.mark.slow
def test_sigterm_while_the_schedulers_lock_is_held_does_not_hang(project):
    assert project.ended(project.start(TRAP=TRAP)) == 1
    assert "Told to end" in project.screen()
    project.finish()


@pytest.mark.slow
def test_a_second_signal_kills_jobs_that_do_not_end(project):
    (project.folder / "stubborn").touch()
    process = project.running()
    process.send_signal(signal.SIGTERM)
    until(lambda: project.told() == ["one", "two"])
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert project.ended(process) == 1 and not any(map(alive, project.jobs()))
    project.finish()


@pytest.mark.slow
def test_after_kill_9_of_snakemake_alone_its_jobs_end_and_the_same_command_goes_on(project):
    process = project.running()
    process.kill()
    process.wait()
    assert list((project.folder / ".snakemake" / "locks").iterdir())
    until(lambda: project.told() == ["one", "two"])  # without a new start
    until(lambda: not any(map(alive, project.jobs())))
    project.finish()
    assert f"Removing the lock of a Snakemake that was killed (process {process.pid})" in project.screen()


@pytest.mark.slow
def test_a_new_start_ends_a_job_that_would_not_end(project, monkeypatch):
    (project.folder / "stubborn").touch()
    process = project.running()
    process.kill()
    process.wait()
    jobs = project.jobs()
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(restart, "PATIENCE", 1)
    lines = []
    restart.end_orphans(str(project.folder), lines.append)
    assert len(lines) == 1 and all(str(pid) in lines[0] for pid in jobs)
    assert not any(map(alive, jobs))
    restart.end_orphans(str(project.folder), lines.append)
    assert len(lines) == 1


@pytest.mark.slow
def test_jobs_of_a_cluster_that_is_this_machine_are_left_to_its_queue(tmp_path):
    gone = replace(Owner.this(str(tmp_path)), started="long ago")
    inherited = {name: value for name, value in os.environ.items() if name != "SLURM_JOB_ID"}
    inherited[VARIABLE] = str(gone)
    sleeping = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
    for number, left in ((None, True), ("7", False)):
        environment = inherited | ({"SLURM_JOB_ID": number} if number else {})
        with subprocess.Popen(sleeping, env=environment, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            found = [orphan.pid for orphan in restart.orphans(str(tmp_path))]
            process.kill()
        assert (process.pid in found) == left


def test_after_kill_9_of_the_whole_group_the_same_command_goes_on(project):
    process = project.running()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    project.finish()


@pytest.mark.slow
def test_a_snakemake_that_runs_keeps_its_lock(project):
    process = project.running()
    assert project.ended(project.start()) == 1
    screen = project.screen()
    assert f"Another Snakemake is at work in this folder: process {process.pid}" in screen and "--unlock" in screen
    assert "Removing" not in screen and all(map(alive, project.jobs()))
    (project.folder / "go").touch()
    assert project.ended(process) == 0


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A lock, and the owner of one that was killed; not yet written down."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(restart.atexit, "register", lambda *_: None)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner.this(str(tmp_path))
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    owner = replace(owner, pid=process.pid, started=started)
    assert owner.gone() is False
    process.kill()
    until(owner.gone)  # a zombie has ended too
    process.wait()
    assert owner.gone() is True
    restart.OWNERS.mkdir(parents=True)
    (restart.LOCKS).mkdir()

    def lock():
        (restart.LOCKS / "0.output.lock").write_text("a\n")

    return owner, lock


def start():
    lines = []
    restart.take_over(lines.append)
    for path, owner in restart._owners().items():  # as at its end
        if owner == Owner.this(os.getcwd()):
            path.unlink()
    return lines, (restart.LOCKS / "0.output.lock").exists()


def test_only_a_lock_whose_owner_is_certainly_gone_is_removed(locked):
    owner, lock = locked
    lock()
    assert start() == ([], True)  # nobody wrote down whose it is

    record = restart.OWNERS / "1.json"
    for changed in ({"host": "elsewhere"}, {"machine": "x"}, {"namespace": "pid:[1]"}):
        record.write_text(str(replace(owner, **changed)))
        lock()
        lines, there = start()
        assert there and len(lines) == 1 and "--unlock" in lines[0] and str(owner.pid) in lines[0]
    for damaged in ("", '{"pid": 3', '{"pid": "x"}', "[]"):
        record.write_text(damaged)
        lock()
        lines, there = start()
        assert there and len(lines) == 1 and "--unlock" in lines[0]
    record.write_text(str(replace(owner, pid=os.getpid())))  # the number is another process's by now
    lock()
    assert start()[1] is False and not record.exists()

    record.write_text(str(replace(owner, boot="before")))  # the machine has been started again
    lock()
    assert start()[1] is False
    record.write_text(str(owner))
    lock()
    (restart.OWNERS / "2.json").write_text(str(replace(owner, host="elsewhere")))
    assert start()[1] is True  # it may be the other one's
    restart.forget()
    record.write_text(str(owner))
    os.utime(restart.LOCKS / "0.output.lock", (1, 1))
    assert start() == ([], True)  # it is older than the one that was killed


def test_what_killed_jobs_were_writing_is_removed_and_what_is_being_written_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results" / "deep"
    writing = "import sys\nfrom pnapo.artifacts import atomic_path\nwith atomic_path(sys.argv[1]) as path: input()\n"
    command = [sys.executable, "-c", writing]
    names, processes = ("killed.json", "living.json"), []
    for name in names:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen([*command, str(results / name)], stdin=subprocess.PIPE, env=environment))
    until(lambda: results.is_dir() and len(list(results.iterdir())) == 2)
    processes[0].kill()
    processes[0].wait()
    for name in (".hidden.json", "a.0123456789ab.tmp.json", ".a.0123.tmp"):
        (results / name).touch()
    restart.OWNERS.mkdir(parents=True)
    other = restart.OWNERS / "1.json"
    other.write_text(str(replace(Owner.this(str(tmp_path)), pid=1)))
    restart.sweep("results")
    assert len(list(results.iterdir())) == 5  # another run is at work
    other.unlink()
    restart.sweep("results")
    assert [path.name for path in results.iterdir() if "killed" in path.name] == [] and len(
        list(results.iterdir())
    ) == 4
    processes[1].kill()
    processes[1].wait()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / ".snakemake").write_text("")
    with pytest.raises(UserError, match=r"\.snakemake/owners: cannot be written"):
        restart.take_over()


def test_a_full_disk_leaves_no_record_that_would_block_the_next_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"\.snakemake/owners: cannot be written \(No space left"):
            restart.take_over()
    assert [path.name for path in restart.OWNERS.iterdir()] == ["lock"]
    (restart.OWNERS / "ended.json").symlink_to("gone")  # another's, which goes between being listed and being read
    assert start() == ([], False)


def test_an_owner_is_read_as_it_was_written():
    owner = Owner.this("/some where/é")
    assert Owner.parse(str(owner)) == owner and owner.host == socket.gethostname() and owner.gone() is False
    assert json.loads(str(owner))["folder"] == "/some where/é"
    assert Owner.parse(None) is None and replace(owner, pid=2**22 + 1).gone() is True
