"""A job that was forked behaves as one that was started: the same script, run both ways."""

import os
import signal
import sys

import psutil
import pytest

# What a script can tell of its surroundings, but for what has to differ.
SURROUNDINGS = """
import os, random, signal, sys, threading
print(sys.argv, __name__, sys.path[0], os.getcwd(), sys.stdin.readline().strip())
print({name: value for name, value in os.environ.items() if name != "_"})
print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD))
print(os.umask(0), sys.stdout.line_buffering, sys.stderr.line_buffering, threading.active_count(), sys.flags)
print(sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else "")
print("to stderr", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


def test_surroundings_are_the_jobs_own(repository):
    repository.write("jobs/tell.py", SURROUNDINGS)
    for arguments in (["0"], ["7", "two words", "é"]):
        plain = repository.run("jobs/tell.py", *arguments, warm=False, COLOUR="red")
        assert plain[0] == int(arguments[0]) and "typed" in plain[1] and plain[2] == "to stderr\n"
        assert repository.run("jobs/tell.py", *arguments, COLOUR="red") == plain
    assert len(repository.servers()) == 1


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(300)", 44),
        ("sys.exit('a reason')", 1),
        ("raise ValueError('wrong')", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.abort()", -signal.SIGABRT),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("os.close(1); print('unheard')", 120),
        ("sys.stdout = None; sys.exit(3)", 3),
        ("sys.stdout.close(); sys.exit(3)", 3),
        ("threading.Thread(target=lambda: (time.sleep(0.3), print('late'))).start()", 0),
    ],
)
def test_jobs_end_alike(repository, ending, status):
    text = f"import atexit, os, signal, sys, threading, time\natexit.register(print, 'at exit')\n{ending}\n"
    repository.write("jobs/end.py", text)
    plain, warm = (repository.run("jobs/end.py", warm=warm) for warm in (False, True))
    assert warm[:2] == plain[:2] and warm[0] == status
    assert warm[2].splitlines()[-1:] == plain[2].splitlines()[-1:]


def test_a_job_that_could_not_be_set_up_has_failed(repository):
    """Nothing between fork and script may pass for a job that succeeded."""
    source = repository.root / "pnapo" / "warm" / "job.py"
    source.write_text(source.read_text().replace("    os.chdir(", '    os.chdir("nowhere" + ', 1))
    repository.write("jobs/hello.py", "print('hello')\n")
    status, out, err = repository.run("jobs/hello.py")
    assert (status, out) == (1, "") and err.splitlines()[-1].startswith("FileNotFoundError")


SLEEPER = """
import os, signal, subprocess, sys, time
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], **quiet)
def leave(number, frame):
    os.write(1, b"leaving\\n")  # print may be what the signal has interrupted
    sys.exit(3)
if "gently" in sys.argv:
    signal.signal(signal.SIGTERM, leave)
print(os.getpid(), child.pid, flush=True)
time.sleep(100)
"""


def _started(repository, *arguments):
    repository.write("jobs/sleep.py", SLEEPER)
    process = repository.start("jobs/sleep.py", *arguments)
    return process, *map(int, process.stdout.readline().split())


def _ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_signals_reach_the_job(repository):
    process, job, _ = _started(repository, "gently")
    process.terminate()
    assert process.communicate(timeout=300)[0] == "leaving\n"
    assert process.returncode == 3
    process, job, _ = _started(repository)
    process.terminate()
    assert process.wait(300) == -signal.SIGTERM and _ended(job)


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="started in the background, without Ctrl-C"
)
def test_ctrl_c_reaches_what_the_job_started(repository):
    process, job, child = _started(repository)
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == -signal.SIGINT
    repository.until(lambda: _ended(job) and _ended(child))


def test_a_killed_client_takes_its_job_along(repository):
    process, job, child = _started(repository)
    process.kill()
    repository.until(lambda: _ended(job) and _ended(child))


def test_a_killed_job_kills_its_client(repository):
    process, job, _ = _started(repository)
    os.kill(job, signal.SIGKILL)
    assert process.wait(300) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's parent-death signal")
def test_no_job_goes_on_unwatched(repository):
    process, job, _ = _started(repository)
    keeper = psutil.Process(job).ppid()
    os.kill(keeper, signal.SIGKILL)
    assert process.wait(300) == 1
    assert "was killed" in process.stderr.read()
    repository.until(lambda: _ended(job))
