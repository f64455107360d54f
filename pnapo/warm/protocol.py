"""Where a server listens, and what client and server say to each other. Standard library only, and little of it.

A client sends one request: its length, then JSON with the open files 0, 1 and 2 attached. The server answers `BEGUN`
when the job exists, and at the end a status: `exit N` or `signal N`. In between the client sends a byte for each signal.
"""

import hashlib
import os
import signal
import socket
import stat
import sys
import tempfile

BEGUN = b"begun\n"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))

# Of the environment, what changes from job to job and nothing reads when it is imported. All else belongs to the key:
# a job never meets libraries that were imported under other settings.
PASSING = ("PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "TERM", "DVC_STAGE", "PNAPO_WARM_OWNER", "PNAPO_JOB_OF")


def key(environment: dict[str, str]) -> str:
    """What a server is bound to: repository, user, interpreter, installed packages, environment, its own sources."""
    parts = [REPOSITORY, str(os.getuid()), sys.executable, sys.version]
    root = os.path.dirname(os.path.dirname(sys.executable))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    sources = [os.path.join(HERE, name) for name in sorted(os.listdir(HERE)) if name.endswith(".py")]
    sources += [os.path.join(root, "pyvenv.cfg"), os.path.join(root, "lib", version, "site-packages")]
    for path in sources:
        try:
            found = os.stat(path)
            parts.append(f"{path} {found.st_mtime_ns} {found.st_size}")
        except OSError:
            parts.append(path)
    parts += [f"{name}={value}" for name, value in sorted(environment.items()) if name not in PASSING]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def folder() -> str:
    """The user's own folder for sockets, made if need be. Raises OSError if somebody else could reach into it."""
    name = f"pnapo-{os.getuid()}"
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    path = os.path.join(base if os.access(base, os.W_OK) else tempfile.gettempdir(), name)
    if len(path) > 70:  # a socket's path has to fit into about a hundred bytes
        path = os.path.join("/tmp", name)
    os.makedirs(path, 0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path}: is not a folder of this user alone")
    return path


def is_ours(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to this user, as the system says: folders may change in between."""
    # Linux: struct ucred {pid, uid, gid} of whoever connected, or listens; BSD and macOS: LOCAL_PEERCRED {version, uid, …}.
    level, name = (socket.SOL_SOCKET, socket.SO_PEERCRED) if hasattr(socket, "SO_PEERCRED") else (0, 1)
    return int.from_bytes(connection.getsockopt(level, name, 12)[4:8], sys.byteorder) == os.getuid()
