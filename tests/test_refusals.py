"""What the system refuses becomes one line: what, where, what to do."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from pnapo.artifacts import atomic_path, read_table, read_tensors, write_json, write_table, write_tensors
from pnapo.artifacts.images import encode_png, png_writer
from pnapo.errors import UserError
from pnapo.refusals import KILLED, REFUSALS, Refused, ending, refusal
from pnapo.scripting import guard
from pnapo.training.state import load_state, save_state


@pytest.fixture
def no_more_files():
    """A block in which this process can open no file."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), usual[1]))
    blocked = []
    try:
        while True:
            blocked.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        yield
    finally:
        for number in blocked:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


@pytest.fixture
def small_files():
    """A block in which no file may be larger than 64 kB."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    signal.signal(signal.SIGXFSZ, handler)


def _images(path):
    with png_writer(path.with_name("manifest.json"), {}) as add:
        add(["a"], [0], [encode_png(torch.randint(0, 255, (200, 200, 3), dtype=torch.uint8).numpy())])


ROOT = Path(__file__).parents[1]
LARGE = torch.randn(50_000)
WRITERS = {
    "images.parquet": _images,
    "a.safetensors": lambda path: write_tensors(path, {"a": LARGE}),
    "a.parquet": lambda path: write_table(path, pd.DataFrame({"a": LARGE.numpy()})),
    "a.json": lambda path: write_json(path, LARGE.tolist()),
    "state.pt": lambda path: save_state(path, {"a": LARGE}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path, small_files, name):
    with pytest.raises(Refused) as told:
        WRITERS[name](tmp_path / name)
    assert str(told.value).startswith(f"{tmp_path / name}: larger than a file may be here; lift the limit")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_network_disk_tells_at_last_is_heard(tmp_path, monkeypatch, name):
    """It reports what it could not keep when the whole file is synced, through a descriptor that was open meanwhile."""

    def sync(number):
        if os.fstat(number).st_size:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(Refused, match="your disk quota is used up; delete files of yours"):
        WRITERS[name](tmp_path / name)
    assert not list(tmp_path.iterdir())


READERS = {
    "a.safetensors": read_tensors,
    "a.parquet": read_table,
    "state.pt": lambda path: load_state(path, "", print),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, name, request):
    path = tmp_path / name
    WRITERS[name](path)
    READERS[name](path)
    request.getfixturevalue("no_more_files")
    with pytest.raises(Refused) as told:
        READERS[name](path)
    assert str(told.value).startswith(f"{path}: too many open files: ") and "ulimit -n" in str(told.value)


def test_a_full_disk_tells_what_is_free(tmp_path, monkeypatch):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = str(refusal(error, tmp_path / "none" / "a.json"))
    free = shutil.disk_usage(tmp_path).total / 1e9
    assert told.startswith(f"{tmp_path}/none/a.json: the disk is full (") and f"of {free:.1f} GB free); free" in told
    wrapped = RuntimeError("unexpected pos 704 vs 598")
    wrapped.__context__ = error
    assert str(refusal(wrapped, "a")).startswith("a: the disk is full")


@pytest.mark.parametrize("number", REFUSALS)
def test_every_number_is_found_wherever_a_library_puts_it(number):
    text = os.strerror(number)
    for error in (
        OSError(number, text, "some/file"),
        RuntimeError(f"I/O error: {text} (os error {number})"),
        OSError(f"[Errno {number}] Error writing bytes to file"),
    ):
        assert REFUSALS[number][1] in str(refusal(error, "some/file")), error
        assert "{" not in str(refusal(error))


def test_memory():
    for make in (lambda: torch.empty(10**15), lambda: LARGE.numpy().repeat(10**12), lambda: bytearray(1 << 62)):
        with pytest.raises((RuntimeError, MemoryError)) as raised:
            make()
        told = str(refusal(raised.value))
        assert told.startswith("out of memory") and "`mem_mb`" in told and len(told) < 300
    assert str(refusal(RuntimeError("could not create a primitive"))).startswith(
        "out of memory"
    )  # oneDNN's word for it


def test_an_extension_that_ran_out_of_memory_without_a_word():
    error = SystemError("error return without exception set")
    assert refusal(error) is None
    usual = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (16 << 20), usual[1]))
    try:
        assert str(refusal(error)).startswith("out of memory")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


def test_other_errors_are_no_refusals(tmp_path):
    for error in (
        ValueError("prompt: 'No space left on device'"),
        KeyError("[Errno 28]"),
        RuntimeError("shapes"),
        UserError("[Errno 28]"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
    ):
        assert refusal(error) is None
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a") as temporary:
        (temporary / "b").parent.unlink()
        os.stat(temporary)
    assert str(refusal(FileNotFoundError(errno.ENOENT, "", "a"))) == "a: no such file or folder"


def test_scripts_end_with_the_line(capsys, monkeypatch):
    def fail():
        raise RuntimeError("wrapped") from OSError(errno.EROFS, "", "results/a")

    for debug in ("", "1"):
        monkeypatch.setenv("PNAPO_DEBUG", debug)
        with pytest.raises(SystemExit) as end:
            guard(fail)
        said = capsys.readouterr().err
        assert end.value.code == 1 and ("Traceback" in said) == bool(debug)
        assert said.splitlines()[-1].startswith("error: results/a: the disk is read-only; have it mounted for writing")
    monkeypatch.setenv("PNAPO_DEBUG", "")
    with pytest.raises(SystemExit) as end:  # a fault of ours
        guard(lambda: 1 / 0)
    assert end.value.code == 1 and "ZeroDivisionError" in capsys.readouterr().err


def test_the_ending_of_a_child():
    killed = subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).returncode
    assert ending(killed).startswith("was killed (SIGKILL), as a rule because memory ran out")
    assert (ending(3), ending(-11)) == ("ended with exit status 3", "was ended by SIGSEGV")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGBUS])
def test_the_log_of_a_job_that_a_signal_ended_says_so(tmp_path, number):
    """As the rules start jobs: a shell function around Python, its output in the rule's log."""
    job = f"{sys.executable} -c 'import os, sys; print(1, flush=True); os.kill(os.getpid(), {number:d})'"
    line = f"set -euo pipefail; . rules/helpers/job.sh; python() {{ job {job}; }}; python > {tmp_path}/log 2>&1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT)
    said = (tmp_path / "log").read_text().splitlines()
    assert done.returncode == 128 + number and said[0] == "1"
    assert said[-1].startswith("error: ") and number.name in said[-1]
    assert number != signal.SIGKILL or said[-1].endswith(KILLED)
