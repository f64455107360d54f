"""`pnapo plan`: the table, JSON, what does not fit and what would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pnapo.config import load_config
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
    assert "610 jobs" in rest and "On 8 GPUs" in rest and "Share of the GPU's peak, assumed" in rest
    assert "Does not fit" not in rest and "split over as many GPUs as `--gpus` says, 8." in rest
    found = json.loads(pnapo(*PAPER, "--gpu", "h800", "--gpus", "8", "--json").stdout)
    rules = {(row["rule"], row["backbone"]): row for row in found["rules"]}
    assert found["total"]["jobs"] == 610 == sum(row["jobs"] for row in found["rules"])
    assert rules["train", "flux"]["fits"] == "yes" and rules["report", ""]["fits"] is None
    alone = pnapo(*PAPER, "--gpu", "h800").stdout
    assert "Does not fit on h800" in alone
    assert "train diffusion_dpo, pnapo, ipo, capo on flux: 220 GiB; on 4 GPUs takes 60" in alone
    assert found["total"]["hours_at_best"] >= found["total"]["gpu_hours"] / 8
    assert found["total"]["gpu_hours"] == pytest.approx(sum(row["gpu_hours"] for row in found["rules"]))


def test_what_is_told_to_help_does_help(planned):
    rates = hardware.rates("h100")
    anchored = [run for run in load_config("config.yaml", ["config/paper.yaml"]).runs if run != "sft"]
    large = {run: {"batch": 8, "accumulation": 16} for run in anchored}
    (sd3, *_) = estimate(planned("config/paper.yaml", backbones=["sd3"], runs=large), rates).problems
    assert "`batch: 2, accumulation: 64` takes 69 GiB" in sd3
    assert not estimate(planned("config/paper.yaml", backbones=["sd3"]), rates).problems
    small = hardware.rates("a100-40")
    problems = estimate(planned("config/paper.yaml", backbones=["sd3"]), small).problems
    assert any(
        "pnapo_constant on sd3: 69 GiB; `gradient_checkpointing: true` takes 39 GiB" in line for line in problems
    )
    changed = {run: {"gradient_checkpointing": True} for run in ("sft", *anchored)}
    assert not estimate(planned("config/paper.yaml", backbones=["sd3"], runs=changed), small).problems
    small = estimate(planned("config/paper.yaml", backbones=["flux"]), hardware.rates("rtx4090")).problems
    assert any("checkpointing and LoRA still take" in line and "another GPU" in line for line in small)
    assert any(line.startswith("decode_pairs on flux: 27 GiB; `pairs.batch: 4` takes 14 GiB") for line in small)
    assert any(line.startswith("generate_pairs on flux") and "`pairs.batch: 1` still takes" in line for line in small)
    assert any(line.startswith("generate_images on flux") and "`testsets.geneval.batch: 1`" in line for line in small)
    assert not estimate(planned(), hardware.rates("rtx3090")).problems
    many = planned("config/paper.yaml", backbones=["sd3"], metrics={"geneval_hf": {"mask2former": {"batch": 256}}})
    problems = estimate(many, hardware.rates("h100")).problems
    (told,) = [line for line in problems if line.startswith("score_images on sd3")]
    assert "`metrics.geneval_hf.mask2former.batch: " in told and "takes" in told


def test_gpus_that_cannot_share_a_steps_passes_are_told(planned):
    found = estimate(planned("config/paper.yaml", backbones=["flux"], gpus=6), hardware.rates("h200")).problems
    assert any(
        line.startswith("train pnapo on flux: 6 GPUs cannot share `accumulation: 64`; make it") for line in found
    )
    assert not estimate(planned("config/paper.yaml", gpus=8), hardware.rates("h100")).problems


@pytest.mark.parametrize(
    ("gpu", "changes", "told"),
    [
        ("h100", {}, "`gradient_checkpointing: true, sharded: true` on 4 GPUs takes 60 GiB"),
        ("h200", {}, "`gradient_checkpointing: true, sharded: true` on 2 GPUs takes 107 GiB"),
        ("a100-40", {}, "`gradient_checkpointing: true, sharded: true` on 8 GPUs takes 37 GiB"),
        ("a100-40", {"accumulation": 63}, "`adapter: lora, gradient_checkpointing: true` takes 3"),
    ],
)
def test_flux_is_split_where_it_does_not_fit(planned, gpu, changes, told):
    """Over as few GPUs as are enough, which have to share a step's passes equally."""
    run = {
        "batch": 2,
        "accumulation": 64,
        **changes,
        "on": {"flux": {"sharded": False, "gradient_checkpointing": False}},
    }
    runs = {"sft": None, "diffusion_dpo": None, "ipo": None, "capo": None, "pnapo": run}
    problems = estimate(planned("config/paper.yaml", backbones=["flux"], runs=runs), hardware.rates(gpu)).problems
    assert any(line.startswith("train pnapo on flux") and told in line for line in problems), problems


def test_wrong_usage_is_one_line():
    wrong = {
        ("--gpu", "abacus"): "error: --gpu: no GPU is called abacus; there is h100",
        ("--gpus", "0"): "error: --gpus: 0 is not a number of GPUs",
        ("--utilisation", "2"): "error: --utilisation: 2 is not a share",
        ("--config", "none.yaml"): "error: none.yaml: no such file",
    }
    for arguments, line in wrong.items():
        done = pnapo("plan", *arguments)
        assert done.returncode == 1 and done.stderr.startswith(line) and done.stderr.count("\n") == 1


def test_torch_is_not_imported():
    code = "import sys; from pnapo.cli import main; main(['plan']); assert 'torch' not in sys.modules"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True).returncode == 0
