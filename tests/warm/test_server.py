"""The server: one for each environment, never stale, gone with its owner, and no loss when it cannot be."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

IMPORTED = (
    "import sys\nprint('heavy' in sys.modules)\nif 'load' in sys.argv:\n    import heavy\n    print(heavy.VALUE)\n"
)


def test_libraries_are_imported_once_and_before_the_job(repository):
    # `heavy` stands in the server's own path as an installed library does, and counts how often it is imported.
    repository.write("lib/heavy.py", "VALUE = 3\nopen(__file__ + '.count', 'a').write('x')\n")
    repository.write("jobs/use.py", IMPORTED)
    library = str(repository.root / "lib")
    outputs = [repository.run("jobs/use.py", "load", PYTHONPATH=library)[1] for _ in range(3)]
    assert outputs == ["True\n3\n"] * 3
    assert (repository.root / "lib" / "heavy.py.count").read_text() == "x"


def test_a_library_that_cannot_be_imported_is_the_jobs_affair(repository):
    repository.write(
        "jobs/careful.py", "try:\n    import nowhere_to_be_found\nexcept ImportError:\n    print('without')\n"
    )
    assert repository.run("jobs/careful.py")[:2] == (0, "without\n")


def test_jobs_run_the_code_as_it_is(repository):
    repository.write("jobs/use.py", "from pnapo.thing import VALUE\nprint(VALUE)\n")
    for value in (1, 22):
        repository.write("pnapo/thing.py", f"VALUE = {value}\n")
        assert repository.run("jobs/use.py")[1] == f"{value}\n"
    assert len(repository.servers()) == 1


def test_another_environment_has_another_server(repository):
    repository.write("jobs/tell.py", "import os\nprint(os.environ['OMP_NUM_THREADS'])\n")
    assert [repository.run("jobs/tell.py", OMP_NUM_THREADS=n)[1] for n in "121"] == ["1\n", "2\n", "1\n"]
    assert len(repository.servers()) == 2


def test_a_changed_server_is_started_anew(repository):
    repository.write("jobs/hello.py", "print('hello')\n")
    repository.run("jobs/hello.py")
    (old,) = repository.servers()
    source = repository.root / "pnapo" / "warm" / "job.py"
    source.write_text(source.read_text() + "# changed\n")
    assert repository.run("jobs/hello.py")[1] == "hello\n"
    assert {p.pid for p in repository.servers()} - {old.pid}


def test_many_jobs_at_once_share_one_server(repository):
    repository.write("jobs/number.py", "import sys, time\ntime.sleep(0.3)\nprint(sys.argv[1])\n")
    jobs = [repository.start("jobs/number.py", str(k)) for k in range(12)]
    assert [job.communicate(timeout=60)[0] for job in jobs] == [f"{k}\n" for k in range(12)]
    assert len(repository.servers()) == 1


def test_it_ends_with_its_owner(repository):
    repository.write("jobs/hello.py", "print('hello')\n")
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    repository.run("jobs/hello.py", PNAPO_WARM_OWNER=str(owner.pid))
    assert len(repository.servers()) == 1
    owner.kill()
    owner.wait()
    repository.until(lambda: not repository.servers())
    assert not [f for f in os.listdir(repository.runtime / f"pnapo-{os.getuid()}") if not f.endswith(".lock")]


def test_after_a_killed_server_the_next_job_starts_another(repository):
    repository.write("jobs/hello.py", "print('hello')\n")
    repository.run("jobs/hello.py")
    (server,) = repository.servers()
    server.send_signal(signal.SIGKILL)
    server.wait(300)
    assert repository.run("jobs/hello.py")[:2] == (0, "hello\n")
    assert [p.pid for p in repository.servers()] not in ([], [server.pid])


@pytest.mark.parametrize("trouble", ["foreign folder", "no server", "no room"])
def test_without_a_server_jobs_are_plain_processes(repository, trouble):
    repository.write("jobs/tell.py", "import os, sys\nprint(sys.argv[1:], os.getppid())\nsys.exit(5)\n")
    if trouble == "foreign folder":
        (repository.runtime / f"pnapo-{os.getuid()}").mkdir(mode=0o755)
    elif trouble == "no server":
        repository.write("pnapo/warm/server.py", "raise SystemExit(1)\n")
    else:
        (repository.runtime / f"pnapo-{os.getuid()}").write_text("in the way")
    status, out, err = repository.run("jobs/tell.py", "a b")
    assert (status, out, err) == (5, f"['a b'] {os.getpid()}\n", "")
    assert not repository.servers()


NOBODY = 65534
AS_ANOTHER = """
import array, json, os, socket, sys
os.setgroups([]), os.setgid({nobody}), os.setuid({nobody})
end = socket.socket(socket.AF_UNIX)
{rest}
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_even_in_an_open_folder_the_socket_obeys_its_owner_alone(repository):
    repository.write("jobs/mark.py", "import sys\nopen(sys.argv[1], 'w').close()\n")
    assert repository.run("jobs/mark.py", str(repository.root / "mine"))[0] == 0
    folder = repository.runtime / f"pnapo-{os.getuid()}"
    (path,) = [path for path in folder.iterdir() if path.suffix != ".lock"]
    for opened in (repository.runtime, folder, path):
        opened.chmod(0o777)
    asked = {"argv": ["jobs/mark.py", str(repository.root / "theirs")], "cwd": str(repository.root), "environment": {}}
    asked |= {"umask": 0, "ignored": []}
    rest = f"""
body = json.dumps({asked!r}).encode()
end.connect({str(path)!r})
end.sendmsg([len(body).to_bytes(4, "big") + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
print(end.recv(6))
"""
    told = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER.format(nobody=NOBODY, rest=rest)], capture_output=True, text=True
    )
    assert told.stdout == "b''\n" or "ConnectionReset" in told.stderr or "BrokenPipe" in told.stderr, told
    assert (repository.root / "mine").exists() and not (repository.root / "theirs").exists()
    folder.chmod(0o700)
    assert repository.run("jobs/mark.py", str(repository.root / "again"))[0] == 0 and len(repository.servers()) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_client_tells_nobody_else_its_environment(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository.root / "pnapo" / "warm")
    client = importlib.import_module("client")
    path = repository.runtime / "s"
    repository.runtime.chmod(0o777)
    rest = f"end.bind({str(path)!r})\nos.chmod({str(path)!r}, 0o777)\nend.listen()\nprint('here', flush=True)\n"
    rest += "print(end.accept()[0].recv(9))"
    other = subprocess.Popen(
        [sys.executable, "-c", AS_ANOTHER.format(nobody=NOBODY, rest=rest)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "here\n"
    with pytest.raises(PermissionError, match="somebody else listens"):
        client._connect(str(path))
    assert other.communicate(timeout=300)[0] == "b''\n"


def test_the_lock_follows_no_link(repository):
    target, folder = repository.root / "precious", repository.runtime / f"pnapo-{os.getuid()}"
    target.write_text("kept")
    repository.write("jobs/hello.py", "print('hello')\n")
    repository.run("jobs/hello.py")
    (lock,) = folder.glob("*.lock")
    for server in repository.servers():
        server.kill()
        server.wait(300)
    lock.unlink()
    lock.symlink_to(target)
    assert repository.run("jobs/hello.py")[:2] == (0, "hello\n") and target.read_text() == "kept"


def test_the_socket_is_the_users_alone(repository):
    repository.write("jobs/hello.py", "print('hello')\n")
    repository.run("jobs/hello.py")
    folder = repository.runtime / f"pnapo-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir() if path.suffix != ".lock")
