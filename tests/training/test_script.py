"""The script, from files on disk to a checkpoint folder, as the workflow calls it."""

import pytest

from pnapo.artifacts import read_manifest, verify_manifest
from pnapo.errors import UserError


def test_the_script_writes_a_checkpoint(script, arguments, tmp_path, capsys, backbone_of):
    script("train", *arguments({}, {"schedule": "dynamic", "steps": 3, "batch": 4, "learning_rate": 1e-3}))
    manifest = tmp_path / "runs" / "sd3" / "pnapo-s1" / "manifest.json"
    settings = read_manifest(manifest, "checkpoint")["settings"]
    assert verify_manifest(manifest) == []
    assert (settings["seed"], settings["draw_seed"], settings["pairs"]["count"]) == (1, 2, 9)
    assert "pnapo-s1: stored × dpo × dynamic, 9 pairs, 3 steps of 4 × 1, lora" in capsys.readouterr().out
    backbone_of().load_policy(manifest)


def test_pairs_of_another_resolution_are_one_clear_line(script, arguments, tmp_path):
    with pytest.raises(UserError, match=r"but .* is sd3 with \[4, 16, 16\]; use the pairs of this backbone$"):
        script("train", *arguments({"resolution": 32}, {}))
    assert not (tmp_path / "runs" / "sd3" / "pnapo-s1").exists()
