"""The command line answers at once, and says in one line what it cannot do."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pnapo(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "pnapo", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


def imported(code):
    """The top-level packages that are loaded after `code`."""
    listing = f"{code}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", listing], cwd=ROOT, text=True).split())


def test_what_must_be_quick_imports_nothing_heavy():
    assert not {"yaml", "pydantic", "numpy", "pandas", "torch"} & imported("from pnapo import cli; cli._parser()")
    assert not {"numpy", "pandas", "torch"} & imported("import pnapo.config")


def test_a_folder_in_place_of_a_file_is_one_line(tmp_path):
    for command in (("config", "check", "--config"), ("plan", "--config"), ("table",)):
        done = pnapo(*command, tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_wrong_usage():
    assert pnapo("no-such-command").returncode == 2
    alone = pnapo("config", "show", "--backbone", "flux")
    assert alone.returncode == 1 and "with --run" in alone.stderr
