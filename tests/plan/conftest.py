"""The configurations of the repository, as a plan sees them."""

import json
import math
from pathlib import Path

import pytest

from pnapo.config import load_config
from pnapo.plan.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def planned(monkeypatch):
    """planned("config/paper.yaml", runs={…}) is the experiment of config.yaml with overlays and settings laid on it."""
    monkeypatch.chdir(ROOT)
    return lambda *overlays, gpus=1, **changed: Experiment(load_config("config.yaml", overlays, changed), gpus)


def numbers_in(file: Path) -> int:
    """Numbers in a .safetensors file, from its header alone."""
    with open(file, "rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


@pytest.fixture(scope="session")
def shipped():
    """shipped("sd3/vae") is the configuration in a folder of the embedded world, and the numbers in its weights."""

    def read(folder: str, config: str = "config.json"):
        path = ROOT / "assets/world" / folder
        (weights,) = path.glob("*.safetensors")
        return json.loads((path / config).read_text("utf-8")), numbers_in(weights)

    return read
