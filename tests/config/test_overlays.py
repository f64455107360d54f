"""`--config` of the commands lays files on config.yaml exactly as Snakemake's `--configfile` does."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config

from pnapo.commands import common
from pnapo.config import validate

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = sorted(path.relative_to(ROOT) for path in (ROOT / "config").glob("*.yaml"))
OWN = """
backbones: [flux]
runs: {pnapo: {beta: 7, on: {flux: {beta: 9}}}, sft: {seeds: [1, 2]}}
pairs: {shards: 3}
"""


def of_snakemake(files):
    """What the Snakefile's `config` is after `configfile: "config.yaml"` and `--configfile FILES`."""
    config = load_configfile("config.yaml")
    update_config(config, ConfigSettings(configfiles=list(files)).overwrite_config)
    return validate(config)


CASES = [(), ("own",), *(names for path in OVERLAYS for names in ((path,), (path, "own"), ("own", path)))]


@pytest.mark.parametrize("names", CASES)
def test_the_same_configuration(monkeypatch, tmp_path, names):
    monkeypatch.chdir(ROOT)
    (tmp_path / "own.yaml").write_text(OWN)
    files = [tmp_path / "own.yaml" if name == "own" else Path(name) for name in names]
    found = common.configuration(argparse.Namespace(config=files))
    assert found == of_snakemake(files)
    assert bool(names) == (found != common.configuration(argparse.Namespace(config=[])))


def test_every_command_lays_them_on_config_yaml(tmp_path):
    (tmp_path / "own.yaml").write_text(OWN)
    for command, told in (
        (("config", "check"), "ok (flux; "),
        (("config", "show"), "shards: 3"),
        (("plan", "--json"), '"flux"'),
    ):
        line = [sys.executable, "-m", "pnapo", *command, "--config", "config/lab.yaml", str(tmp_path / "own.yaml")]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and told in done.stdout, done.stderr
