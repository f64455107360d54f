"""`pnapo plan`: the table, JSON, what does not fit and what would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pnapo.plan import hardware
from pnapo.plan.estimate import estimate

ROOT = Path(__file__).resolve().parents[2]
PAPER = ("plan", "--config", "config/paper.yaml")


def pnapo(*arguments):
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "pnapo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_papers_experiment():
    told = pnapo(*PAPER, "--gpu", "h800", "--gpus", "8").stdout
    table, _, rest = told.partition("\n\n")
    assert {"generate_pairs", "128", "yes"} <= set(next(x for x in table.splitlines() if "generate_pairs" in x).split())
    assert "415 jobs" in rest and "On 8 GPUs" in rest and "Share of the GPU's peak, assumed" in rest
    assert "Does not fit on h800" in rest and "train diffusion_dpo, pnapo on sd3" in rest
    found = json.loads(pnapo(*PAPER, "--gpu", "h800", "--gpus", "8", "--json").stdout)
    rules = {(row["rule"], row["backbone"]): row for row in found["rules"]}
    assert found["total"]["jobs"] == 415 == sum(row["jobs"] for row in found["rules"])
    assert rules["train", "flux"]["fits"] == "no" and rules["report", ""]["fits"] is None
    assert found["total"]["hours_at_best"] >= found["total"]["gpu_hours"] / 8
    assert found["total"]["gpu_hours"] == pytest.approx(sum(row["gpu_hours"] for row in found["rules"]))


def test_what_is_told_to_help_does_help(planned):
    rates = hardware.rates("h100")
    (sd3, *_), changed = estimate(planned("config/paper.yaml", backbones=["sd3"]), rates).problems, {}
    assert "`batch: 2, accumulation: 64`" in sd3
    for run in ("diffusion_dpo", "pnapo"):
        changed[run] = {"batch": 2, "accumulation": 64}
    assert not estimate(planned("config/paper.yaml", backbones=["sd3"], runs=changed), rates).problems
    small = estimate(planned("config/paper.yaml", backbones=["flux"]), hardware.rates("rtx4090")).problems
    assert any("FSDP" in line and "built yet" in line for line in small)
    assert any(line.startswith("decode_pairs on flux: 27 GiB; `pairs.batch: 4` takes 14 GiB") for line in small)
    assert any(line.startswith("generate_pairs on flux") and "`pairs.batch: 1` still takes" in line for line in small)
    assert not estimate(planned(), hardware.rates("rtx3090")).problems


def test_wrong_usage_is_one_line():
    wrong = {
        ("--gpu", "abacus"): "error: --gpu: no GPU is called abacus; there is h100",
        ("--gpus", "0"): "error: --gpus: 0 is not a number of GPUs",
        ("--utilisation", "2"): "error: --utilisation: 2 is not a share",
        ("none.yaml",): "error: none.yaml: no such file",
    }
    for arguments, line in wrong.items():
        done = pnapo("plan", *arguments)
        assert done.returncode == 1 and done.stderr.startswith(line) and done.stderr.count("\n") == 1


def test_torch_is_not_imported():
    code = "import sys; from pnapo.cli import main; main(['plan']); assert 'torch' not in sys.modules"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True).returncode == 0
