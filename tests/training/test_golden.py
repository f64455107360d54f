"""Golden numbers: the log of eight steps of each method, bit for bit on the kind of CPU they were made on.

A refactoring must not change them. After an intended change: PNAPO_UPDATE_GOLDEN=1 pytest tests/training/test_golden.py
"""

import json
import os
import platform
from pathlib import Path

import pytest
import torch

from pnapo.artifacts import write_json
from pnapo.training.log import read_log

GOLDEN = Path(__file__).with_name("golden")
METHODS = {
    "pnapo": {"path": "stored", "loss": "dpo", "schedule": "dynamic"},
    "diffusion_dpo": {"path": "independent", "loss": "dpo", "schedule": "constant", "beta": 10.0},
    "ipo": {"path": "independent", "loss": "ipo", "schedule": "constant"},
    "capo": {"path": "independent", "loss": "capo", "schedule": "constant", "time_weight": "snr"},
    "kto": {"path": "independent_each", "loss": "kto", "schedule": "constant", "reference": "compute"},
    "npo": {"path": "independent", "loss": "npo", "schedule": "constant"},
    "mapo": {"path": "independent", "loss": "mapo", "schedule": "constant", "beta": 0.1},
    "sdpo": {"path": "independent", "loss": "sdpo", "schedule": "constant"},
    "linear_dpo": {
        **{"path": "independent", "loss": "linear", "schedule": "constant"},
        **{"reference": "compute", "reference_ema": 0.9},
    },
    "dense_reward": {"path": "independent", "loss": "dpo", "schedule": "constant", "time_weight": "discount"},
    "self_npo": {"path": "truncated", "loss": "self_npo", "schedule": "constant", "time_weight": "x0"},
    "sft_tracked": {"path": "stored", "loss": "sft", "schedule": "constant"},
    "sft": {"path": "independent", "loss": "sft", "schedule": "constant", "time_sampling": "logit_normal"},
}


def numerics() -> dict[str, str]:
    """What the last bits of a sum depend on."""
    info, keys = Path("/proc/cpuinfo"), ("vendor_id", "cpu family", "model", "model name")
    lines = [line.partition(":") for line in info.read_text().splitlines()] if info.exists() else []
    cpu = {key.strip(): value.strip() for key, _, value in lines}
    return {
        "torch": torch.__version__.split("+")[0],
        "machine": f"{platform.system()} {platform.machine()}",
        "vector_unit": torch.backends.cpu.get_cpu_capability(),
        "cpu": " ".join(cpu[key] for key in keys if key in cpu) or platform.processor(),
    }


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_log_is_the_golden_one(method, trained):
    log = read_log(trained(method, batch=3, accumulation=2, warmup=2, **METHODS[method]).folder / "train_log.jsonl")
    file = GOLDEN / f"{method}.json"
    if os.environ.get("PNAPO_UPDATE_GOLDEN"):
        write_json(file, {"numerics": numerics(), "log": log})
    golden = json.loads(file.read_text())
    if golden["numerics"] == numerics():
        assert log == golden["log"]
        return
    for line, expected in zip(log, golden["log"], strict=True):
        # At the start policy and reference are the same, and rounding alone decides which margins are positive.
        undecided = {"implicit_accuracy"} if abs(expected["margin"] or 0) < 1e-5 else set()
        for name, value in expected.items():
            if name in undecided:
                continue
            assert line[name] == (value if value is None else pytest.approx(value, rel=1e-4, abs=1e-6)), name
