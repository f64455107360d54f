"""What the system refused, as one clear line: no space, no rights, no handles, no memory, a network disk that is gone.

Libraries wrap such errors in exceptions of their own, some without the error's number: it is looked for in their texts and
along the chain of exceptions. Standard library only.
"""

import errno
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pnapo.errors import UserError

AGAIN = "then run again: what is finished is kept"

# What happened, and what to do. {limit} is how many files this process may open, {longest} the longest name allowed.
REFUSALS = {
    errno.ENOSPC: ("the disk is full", f"free some space there, {AGAIN}"),
    errno.EDQUOT: ("your disk quota is used up", f"delete files of yours there or have the quota raised, {AGAIN}"),
    errno.EFBIG: ("larger than a file may be here", "lift the limit (ulimit -f) or use another disk, then run again"),
    errno.EROFS: ("the disk is read-only", "have it mounted for writing or use another folder, then run again"),
    errno.EACCES: ("no permission", "give yourself the right to it (chmod) or use another folder, then run again"),
    errno.EPERM: ("not permitted", "give yourself the right to it (chown) or use another folder, then run again"),
    errno.EMFILE: ("too many open files: {limit} are allowed", "raise the limit (ulimit -n 4096), then run again"),
    errno.ENFILE: ("the machine has too many open files", "end other programs, then run again"),
    errno.ENOMEM: ("out of memory", "give the job more (`mem_mb`), lower `batch`, or run fewer jobs at once"),
    errno.EAGAIN: ("no more processes or threads are allowed", "raise the limit (ulimit -u), then run again"),
    errno.ESTALE: ("its network disk has lost it (stale file handle)", "run again; if it stays, mount the disk anew"),
    errno.EIO: ("the disk or its network failed (input/output error)", "look at the disk (dmesg), then run again"),
    errno.ENOTCONN: ("its network disk is not connected", "mount the disk anew, then run again"),
    errno.EHOSTDOWN: ("its network disk does not answer", "look at its server, then run again"),
    errno.ENAMETOOLONG: ("the name is too long: {longest}", "shorten the name of the run, data set or folder in it"),
    errno.ENOLCK: ("file locks do not work here", "use a disk that has them, or mount this one with them"),
}
# Plain enough without advice, if nothing has made more of them.
PLAIN = {errno.ENOENT: "no such file or folder", errno.EISDIR: "is a folder, not a file"}
PLAIN |= {errno.ENOTDIR: "lies below a file, which is no folder", errno.EEXIST: "is there already"}

_NUMBER = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
_TEXTS = {os.strerror(number): number for number in REFUSALS if number != errno.EAGAIN}
_OURS = (ValueError, LookupError, TypeError, AttributeError, AssertionError, SyntaxError)
_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "_ALLOC_FAILED", "could not create a primitive")
_MEMORY = (errno.ENOMEM, errno.EAGAIN)  # no matter of a file

KILLED = "as a rule because memory ran out; give the job more (`mem_mb`), lower `batch`, or run fewer jobs at once"


class Refused(UserError):
    """The system refused. What is on the disk may well be whole, so nothing is to be deleted because of this."""


def number_of(error: BaseException) -> int | None:
    """The number, in REFUSALS, of an exception by itself, whatever library raised it; None if it is something else."""
    if isinstance(error, UserError):
        return None
    text = str(error)
    if isinstance(error, OSError) and error.errno:
        return error.errno if error.errno in REFUSALS else None
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return errno.ENOMEM
    if any(words in text for words in _OF_MEMORY):
        return errno.ENOMEM
    if isinstance(error, SystemError) and _short_of_memory():  # of an extension that did not look whether it got any
        return errno.ENOMEM
    if "can't start new thread" in text:
        return errno.EAGAIN
    if isinstance(error, _OURS):  # their texts may quote a user's
        return None
    told = [int(rust or other) for rust, other in _NUMBER.findall(text)]
    told += [number for words, number in _TEXTS.items() if words in text]
    return next((number for number in told if number in REFUSALS), None)


def _short_of_memory() -> bool:
    """Whether this process has nearly all the memory that `ulimit -v` allows it."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    statm = Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not statm.exists():
        return False
    return int(statm.read_text().split()[0]) * resource.getpagesize() > limit - (64 << 20)


def refusal(error: BaseException, path: Path | str | None = None) -> Refused | None:
    """What `error` says in one line, if the system refused something; None if it is anything else.

    `path` is what was read or written, for errors that do not name it.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Refused):
            return link
        number = number_of(link)
        if number is not None:
            return Refused(_line(number, link, path))
        link = link.__cause__ or link.__context__
    if isinstance(error, OSError) and error.errno in PLAIN and (error.filename or path):
        return Refused(f"{error.filename or path}: {PLAIN[error.errno]}")
    return None


@contextmanager
def about(path: Path | str, temporary: Path | None = None) -> Iterator[None]:
    """What the system refuses in this block becomes Refused and names `path`, where the error itself names no other file.

    `temporary` is what `path` is called until it is whole.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and temporary and error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)
        raise_refused(error, path)
        raise


def raise_refused(error: BaseException, path: Path | str | None = None) -> None:
    """Raise Refused if the system, and not what is in the file `path`, is the reason of `error`; else do nothing.

    A missing file, or a folder in its place, is left to who expects it.
    """
    plain = isinstance(error, OSError) and error.errno in PLAIN
    if not plain and (found := refusal(error, path)):
        raise found from (None if found is error else error)


def _line(number: int, error: BaseException, path: Path | str | None) -> str:
    what, remedy = REFUSALS[number]
    if number in _MEMORY:
        own = next(iter(str(error).splitlines()), "")
        return f"{what}{f' ({_short(own)})' if own and number == errno.ENOMEM else ''}; {remedy}"
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)  # of a copy: where to
    path = os.fsdecode(named) if isinstance(named, str | bytes) else path
    if path is None and number == errno.ENOSPC:
        path = _full()
    if number == errno.ENOSPC and path:
        what += _free(path)
    what = what.format(limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0], longest=_longest(path))
    return f"{path or 'a file'}: {what}; {remedy}"


def _short(text: str) -> str:
    """Of what a library says about memory, the amounts: torch's own text goes on for a page."""
    text = text.partition(" PyTorch")[0].partition("DefaultCPUAllocator: ")[2] or text
    return text if len(text) <= 160 else f"{text[:159]}…"


def _there(path: Path | str) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = Path(path).absolute()
    return next((p for p in (path, *path.parents) if os.path.exists(p)), Path("/"))


def _free(path: Path | str) -> str:
    try:
        disk, entries = shutil.disk_usage(_there(path)), os.statvfs(_there(path))
    except OSError:
        return ""
    if entries.f_files and not entries.f_favail:
        return " (no more files fit on it, however small)"
    return f" ({_size(disk.free)} of {_size(disk.total)} free)"


def _size(count: int) -> str:
    unit, power = next(
        (unit, power) for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)) if count >= 10**power or power == 3
    )
    return f"{count / 10**power:.1f} {unit}"


def _full() -> str | None:
    """Of the places that are written to without a name being told, the one that has no room left."""
    outputs = [f"/proc/self/fd/{number}" for number in (1, 2)]
    for path in (*filter(os.path.isfile, map(os.path.realpath, outputs)), tempfile.gettempdir(), os.getcwd()):
        if shutil.disk_usage(path).free < 1 << 16:
            return path
    return None


def _longest(path: Path | str | None) -> str:
    name = max(Path(path or "").parts or ("",), key=lambda part: len(os.fsencode(part)))
    return f"{len(os.fsencode(name))} bytes, and at most 255 are usual"


def ending(status: int) -> str:
    """How a process ended that should not have, by the return code of `subprocess`: "was killed by the system …"."""
    if status >= 0:
        return f"ended with exit status {status}"
    if status == -signal.SIGKILL:
        return f"was killed (SIGKILL), {KILLED}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def tell(line: str) -> None:
    """An error's line on stderr, if that can still be written."""
    with suppress(OSError):  # the log lies on the full disk as well
        print(f"error: {line}", file=sys.stderr, flush=True)
