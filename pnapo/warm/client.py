"""Run a Python script as a fork of a warm process: `python client.py SCRIPT ARGUMENTS…`. Standard library only.

Exit status, output, signals, working directory and environment are the job's own; see the package's docstring.
"""

import array
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from protocol import BEGUN, FORWARDED, HERE, folder, is_ours, key

PATIENCE = 120  # seconds for the server to import what the job needs and fork it


def plain(argv: list[str]) -> None:
    """Become the job as an ordinary process."""
    os.execv(sys.executable, [sys.executable, *argv])


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
        if not is_ours(connection):
            raise PermissionError(f"{path}: somebody else listens there")
        return connection
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None


def _start(path: str) -> None:
    """Start a server, unless somebody else just did. The socket listens before the server has imported anything."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(path):  # left by a server that was killed
        os.unlink(path)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(128)
    subprocess.Popen(
        [sys.executable, os.path.join(HERE, "server.py"), str(listener.fileno()), path],
        pass_fds=[listener.fileno()],
        start_new_session=True,  # a Ctrl-C in the terminal is for the jobs, who get it from their clients
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != "PNAPO_JOB_OF"},  # it serves others too
    )


def _reach() -> socket.socket:
    path = os.path.join(folder(), key(dict(os.environ)))
    connection = _connect(path)
    if connection is None:
        kept = os.open(path + ".lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with open(kept, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            connection = _connect(path)
            if connection is None:
                _start(path)
                connection = _connect(path)
    if connection is None:
        raise ConnectionError("the server did not start")
    return connection


def _request(argv: list[str], ignored: list[int]) -> bytes:
    mask = os.umask(0)
    os.umask(mask)
    request = {
        "argv": argv,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "umask": mask,
        "ignored": ignored,
    }
    body = json.dumps(request).encode("utf-8", "surrogateescape")
    return len(body).to_bytes(4, "big") + body


def _begin(argv: list[str], ignored: list[int]) -> socket.socket:
    """Hand the job over; returns when it exists."""
    connection = _reach()
    connection.settimeout(PATIENCE)
    message = _request(argv, ignored)
    files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
    sent = connection.sendmsg([message], files)
    connection.sendall(message[sent:])
    if _read(connection, len(BEGUN)) != BEGUN:
        raise ConnectionError("the server did not take the job")
    connection.settimeout(None)
    return connection


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            break
        found += part
    return found


def _end(status: bytes) -> None:
    """End as the job ended."""
    kind, _, number = status.decode().partition(" ")
    if kind == "exit":
        os._exit(int(number))
    if kind == "signal":
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(int(number), signal.SIG_DFL)
        os.kill(os.getpid(), int(number))
    print("error: the process that watched over this job was killed", file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    argv = sys.argv[1:]
    if not argv or argv[0].startswith("-"):
        plain(argv)
    heard = [number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    pending: list[int] = []  # what comes while the job is being made reaches it afterwards
    for number in heard:
        signal.signal(number, lambda received, frame: pending.append(received))
    try:
        connection = _begin(argv, [number for number in FORWARDED if number not in heard])
    except (OSError, ValueError):
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
        for received in pending:
            os.kill(os.getpid(), received)
        plain(argv)

    def forward(received: int, frame: object) -> None:
        with contextlib.suppress(OSError):  # the job has just ended
            connection.send(bytes([received]))

    for number in heard:
        signal.signal(number, forward)
    for received in pending:
        forward(received, None)
    _end(_read(connection, 32).strip())


if __name__ == "__main__":
    main()
