"""The state of a split policy, here of one process: its parts and the file that names them, on a disk that becomes full."""

import errno
import os
import re

import pytest
import torch

from pnapo.refusals import Refused
from pnapo.training import adapters
from pnapo.training.state import damaged_parts

SPLIT = {"adapter": "full", "sharded": True, "steps": 6, "checkpoint_every": 2}
LASTING = ("transformer/diffusion_pytorch_model.safetensors", "train_log.jsonl", "manifest.json")


@pytest.fixture
def split(tmp_path, monkeypatch):
    """A group to split a policy over, though of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    monkeypatch.setattr(adapters, "shared_out", lambda: True)
    yield
    torch.distributed.destroy_process_group()


def full_at_second(part, usual=os.fsync):
    """An fsync that has no room for the second file with `part` in its path, of which half is there."""
    synced = []

    def sync(number):
        synced.extend([part] * (part in os.readlink(f"/proc/self/fd/{number}")))
        if synced == [part] * 2:
            os.truncate(number, os.fstat(number).st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        usual(number)

    return sync


@pytest.mark.parametrize(
    ("part", "named"), [("/__0_0.distcp", "state-4"), ("/.metadata", "state-4"), ("/.state.", "state.pt")]
)
def test_a_full_disk_is_one_line_and_leaves_the_state_before(split, trained, monkeypatch, tmp_path, part, named):
    work = tmp_path / "runs" / "b" / ".run.work"
    with monkeypatch.context() as patched, pytest.raises(Refused) as told:
        patched.setattr(os, "fsync", full_at_second(part))
        trained("b/run", **SPLIT)
    line = rf"{re.escape(str(work / named))}: the disk is full \(.*\); free some space there, then run again: .*"
    assert re.fullmatch(line, str(told.value))
    state = torch.load(work / "state.pt", weights_only=True)
    assert (state["step"], damaged_parts(work, state, range(len(state["parts_sha256"])))) == (2, "")
    assert not list(work.glob(".state.*")) and (work / "state-4" / ".metadata").exists() == (named == "state.pt")
    assert not (tmp_path / "runs" / "b" / "run").exists()
    resumed, whole = trained("b/run", **SPLIT), trained("a/run", **SPLIT).folder
    assert "resuming at step 2" in resumed.lines
    for name in LASTING:
        assert (resumed.folder / name).read_bytes() == (whole / name).read_bytes(), name
