"""A job of the warm server: the process that runs its script, and the keeper that stands between it and its client."""

import os
import select
import signal
import socket
import sys
import traceback

from pnapo.processes import die_with_parent
from pnapo.warm.protocol import BEGUN, FORWARDED

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)  # a terminal sends these to all that a job started


def keep(connection: socket.socket, request: dict, files: list[int]) -> None:
    """In a fork of the server: run the job in a fork of its own, and tell the client how it ended. Never returns."""
    try:
        os.setsid()
        reading, writing = os.pipe()  # wakes the loop below when the job has ended
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        connection.sendall(BEGUN)  # fails if the client has given up: then there is no job
        job = os.fork()
        if job == 0:
            for file in (reading, writing):
                os.close(file)
            signal.set_wakeup_fd(-1)
            connection.close()
            try:
                run(request, files)
            except BaseException:
                traceback.print_exc()
            finally:  # `run` ends the process itself, so this is a job that did not run to its end
                os._exit(1)
        for file in files:  # or whoever reads the job's output would never see its end
            os.close(file)
        connection.sendall(_wait(job, connection, reading))
    finally:
        os._exit(0)


def _wait(job: int, connection: socket.socket, ended: int) -> bytes:
    """Hand the client's signals to the job until it ends; if the client is gone, kill the job. Returns the status."""
    watched = [connection, ended]
    while True:
        pid, status = os.waitpid(job, os.WNOHANG)
        if pid:
            number = os.waitstatus_to_exitcode(status)
            return f"exit {number}\n".encode() if number >= 0 else f"signal {-number}\n".encode()
        ready = select.select(watched, [], [])[0]
        if ended in ready:
            os.read(ended, 512)
        if connection in ready:
            try:
                received = connection.recv(64)
            except OSError:
                received = b""
            for number in received or bytes([signal.SIGKILL]):
                _signal(job, number)
            if not received:
                watched.remove(connection)


def _signal(job: int, number: int) -> None:
    """To the job; those that a terminal sends, and the last one, to its whole process group."""
    try:
        if number in (*FROM_TERMINAL, signal.SIGKILL):
            os.killpg(job, number)
        else:
            os.kill(job, number)
    except ProcessLookupError:  # it has not made its group yet
        os.kill(job, number)


def run(request: dict, files: list[int]) -> None:
    """Become the job: run its script as `__main__` and end the process as Python would. Never returns."""
    os.setpgid(0, 0)
    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in FORWARDED:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else usual)
    for target, file in enumerate(files):
        os.dup2(file, target)
    for file in files:
        os.close(file)
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    _fresh(request["argv"])
    status = _execute(request["argv"][0])
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:  # nobody reads any more
            print(f"OSError: {error}", file=sys.stderr)
            status = status or 120
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _fresh(argv: list[str]) -> None:
    """What a new interpreter would have and a fork has not: arguments, path, streams, random state, our modules."""
    sys.argv = list(argv)
    extra = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[0:1] = [os.path.dirname(os.path.abspath(argv[0])), *(p for p in extra if p not in sys.path[1:])]
    for name in [n for n in sys.modules if n == "pnapo" or n.startswith("pnapo.")]:
        del sys.modules[name]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stdout.reconfigure(write_through=bool(os.environ.get("PYTHONUNBUFFERED")))
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    if "numpy" in sys.modules:  # `random` and `tempfile` look after themselves
        sys.modules["numpy"].random.seed()


def _execute(script: str) -> int:
    """Run a script; returns its exit status, or −SIGINT if it was interrupted."""
    import atexit
    import runpy
    import threading

    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
        status = end.code & 0xFF if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        status = -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    return status
