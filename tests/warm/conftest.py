"""A small repository of its own for each test: the real client and server, and scripts that need no heavy library."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]


class Repository:
    """Scripts, started as the rules start them, or plainly."""

    def __init__(self, root: Path, runtime: Path):
        self.root, self.runtime = root, runtime

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *arguments: str, warm: bool = True, **changed: str) -> subprocess.Popen:
        client = ["-I", "-S", "pnapo/warm/client.py"] if warm else []
        fixed = {
            "PYTHONUNBUFFERED": "",
            "PYTHONPATH": ".",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PNAPO_WARM_OWNER": str(os.getpid()),
        }
        return subprocess.Popen(
            [sys.executable, *client, *arguments],
            cwd=self.root,
            env={**os.environ, **fixed, **changed},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **keywords) -> tuple[int, str, str]:
        """Exit status, output, errors of a finished job."""
        process = self.start(*arguments, **keywords)
        out, err = process.communicate("typed\n", timeout=300)
        return process.returncode, out, err

    @staticmethod
    def until(condition: Callable[[], object], seconds: float = 300) -> None:
        """Wait until something holds; fails if it never does."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)

    def servers(self) -> list[psutil.Process]:
        """The warm processes of this repository, without the jobs and keepers that they forked."""
        script = str(self.root / "pnapo" / "warm" / "server.py")
        found = [p for p in psutil.process_iter(["cmdline", "ppid"]) if script in (p.info["cmdline"] or ())]
        pids = {p.pid for p in found}
        return [p for p in found if p.is_running() and p.info["ppid"] not in pids]


@pytest.fixture
def repository(tmp_path):
    with tempfile.TemporaryDirectory(prefix="w") as runtime:  # a socket's path is short, and pytest's folders are not
        shutil.copytree(ROOT / "pnapo" / "warm", tmp_path / "pnapo" / "warm")
        for name in ("__init__.py", "sources.py"):
            shutil.copy(ROOT / "pnapo" / name, tmp_path / "pnapo" / name)
        made = Repository(tmp_path.resolve(), Path(runtime))
        yield made
        for server in made.servers():
            with suppress(psutil.NoSuchProcess):
                server.kill()
