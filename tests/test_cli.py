"""The command `pnapo`."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pnapo import cli
from pnapo.artifacts import write_manifest, write_text
from pnapo.commands.generate import settings
from pnapo.config import load_config

ROOT = Path(__file__).resolve().parents[1]


def pnapo(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "pnapo", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_help_names_the_commands():
    done = pnapo("--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("config", "verify", "table"))


def test_check_and_show(tmp_path):
    assert "ok (sd3; 3 training runs)" in pnapo("config", "check").stdout
    assert "path: stored" in pnapo("config", "show", "--run", "pnapo").stdout
    unknown = pnapo("config", "show", "--run", "nothing")
    assert unknown.returncode == 1 and unknown.stderr.startswith("error: no run is called nothing")
    missing = pnapo("config", "check", "--config", tmp_path / "none.yaml")
    assert missing.returncode == 1 and missing.stderr == f"error: {tmp_path}/none.yaml: no such file\n"
    assert "Traceback" in pnapo("--debug", "config", "check", "--config", tmp_path / "none.yaml").stderr


def test_verify_finds_damage(tmp_path):
    write_text(tmp_path / "a.txt", "hello\n")
    write_manifest(tmp_path, "notes", {}, ["a.txt"])
    assert pnapo("verify", tmp_path).stdout.endswith("ok (notes)\n")
    (tmp_path / "a.txt").write_text("hellO\n")
    done = pnapo("verify", tmp_path)
    assert done.returncode == 1 and "a.txt: its content is not what" in done.stdout


def test_a_table_is_not_cut(tmp_path):
    path = tmp_path / "t.csv"
    pd.DataFrame({"run": ["a" * 60, "b"], **{f"c{i}": [1.23456, None] for i in range(12)}}).to_csv(path, index=False)
    shown = pnapo("table", path).stdout
    assert "a" * 60 in shown and shown.splitlines()[0].split() == ["run", *(f"c{i}" for i in range(12))]
    assert shown.count("1.235") == 12
    assert pnapo("table", path, "--columns", "c3,run").stdout.splitlines()[0].split() == ["c3", "run"]
    assert "no column is called c99; there is run, c0" in pnapo("table", path, "--columns", "c99").stderr


@pytest.mark.parametrize(
    ("words", "batch"), [("--model sd3", 8), ("--model flux", 2), ("--model flux --keep-noise --batch 3", 3)]
)
def test_images_are_made_as_many_at_once_as_the_configuration_or_the_command_says(words, batch):
    two = {"models": {"flux": {"tests": {"batch": 2}}}}
    config = load_config(ROOT / "config.yaml", [ROOT / "config/paper.yaml"], two)
    args = cli._parser().parse_args(f"generate --prompts a --out x {words}".split())
    made = settings(config, args)
    assert (made.batch, made.steps, made.guidance) == (batch, 50, config.models[args.model].pairs.guidance or 1.0)
