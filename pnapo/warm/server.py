"""The warm process: imports what jobs need, once, and forks each job. Started by `client.py`; standard library only.

Nothing of this repository stays imported, so a job always runs the code as it is then. No library is asked to compute
anything, and CUDA is never initialised here, so a fork is as good as a fresh process. One keeper process a job waits for
it, hands signals on, and kills it when its client dies.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time

sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from pnapo.sources import closure, imports
from pnapo.warm.job import keep
from pnapo.warm.protocol import REPOSITORY, is_ours

IDLE = 600  # seconds without a job after which the server ends


class Owners:
    """The processes that the server works for: each job's environment names its Snakemake."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def add(self, environment: dict[str, str]) -> None:
        name = environment.get("PNAPO_WARM_OWNER", "")
        if name.isdecimal():
            self.pids.add(int(name))

    def gone(self) -> bool:
        """Whether there were some and all have ended."""
        return bool(self.pids) and not any(_alive(pid) for pid in self.pids)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def preload(script: str, done: set[tuple[str, str]]) -> None:
    """Import the libraries that a script and the modules of pnapo under it import, wherever the import stands."""
    try:
        files = closure(script, REPOSITORY)
    except (OSError, SyntaxError):  # the job will say so itself
        return
    for file in files:
        for module, names in imports(file, REPOSITORY).others:
            for name in ("", *names):
                if (module, name) not in done:
                    done.add((module, name))
                    _import(module, name)
    gc.collect()
    gc.freeze()  # else the first collection in each fork would copy every page


def _import(module: str, name: str) -> None:
    """Import one name. What cannot be imported here is left to the job, which may not need it, or will say why it cannot."""
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):  # asking for a name makes lazy packages import what is behind it
            importlib.import_module(f"{module}.{name}")
    except Exception:
        pass


def receive(connection: socket.socket) -> tuple[dict, list[int]]:
    """A request and its three open files. Raises OSError or ValueError for anything else."""
    connection.settimeout(10)
    head, files, _, _ = socket.recv_fds(connection, 65536, 3)
    if len(head) < 4 or len(files) != 3:
        for file in files:
            os.close(file)
        raise ValueError("not a request")
    size, body = int.from_bytes(head[:4], "big"), bytearray(head[4:])
    while len(body) < size:
        part = connection.recv(size - len(body))
        if not part:
            raise ValueError("half a request")
        body += part
    connection.settimeout(None)
    return json.loads(body.decode("utf-8", "surrogateescape")), files


def serve(listener: socket.socket, path: str) -> None:
    """Fork jobs until idle for ten minutes, or until nobody who might send one is left."""
    owners, done, keepers, last = Owners(), set(), set(), time.monotonic()
    while True:
        keepers = {pid for pid in keepers if os.waitpid(pid, os.WNOHANG)[0] == 0}
        if keepers:
            last = time.monotonic()
        elif owners.gone() or time.monotonic() - last > IDLE or not os.path.exists(path):
            return
        if not select.select([listener], [], [], 1.0)[0]:
            continue
        connection, _ = listener.accept()
        files: list[int] = []
        try:
            if not is_ours(connection):
                raise PermissionError("somebody else's job")
            request, files = receive(connection)
            owners.add(request["environment"])
            preload(os.path.relpath(os.path.join(request["cwd"], request["argv"][0]), REPOSITORY), done)
            pid = os.fork()
            if pid == 0:
                listener.close()
                keep(connection, request, files)
            keepers.add(pid)
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ):  # its client runs as a plain process then
            pass
        for file in files:
            os.close(file)
        connection.close()


def main() -> None:
    listener, path = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        serve(listener, path)
    finally:
        if os.path.exists(path):
            os.unlink(path)


if __name__ == "__main__":
    main()
