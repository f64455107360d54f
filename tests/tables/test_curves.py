import shutil

import pandas as pd
import pytest

from pnapo.artifacts import verify_manifest, write_manifest
from pnapo.errors import UserError
from pnapo.tables.curves import write_curves


def test_a_runs_log_becomes_a_table(tmp_path, script):
    folder = tmp_path / "runs" / "flux" / "dpo-s1"
    folder.mkdir(parents=True)
    (folder / "train_log.jsonl").write_text(
        '{"step": 0, "loss": 0.69, "margin": null}\n{"step": 1, "loss": 0.5, "margin": 2}\n'
    )
    write_manifest(folder, "checkpoint", {}, ["train_log.jsonl"])
    listing = tmp_path / "curves.manifest.json"
    script("curves", "--runs", folder / "manifest.json", "--out", tmp_path / "curves", "--manifest", listing)
    assert verify_manifest(listing, "curves") == []
    assert (tmp_path / "curves" / "flux-dpo-s1.csv").read_text() == "step,loss,margin\n0,0.69,\n1,0.5,2.0\n"
    assert len(pd.read_csv(tmp_path / "curves" / "flux-dpo-s1.csv")) == 2


def test_a_damaged_log_is_named(tmp_path):
    log = tmp_path / "train_log.jsonl"
    log.write_text('{"step": 0, "loss": 0.69}\n')
    write_manifest(tmp_path, "checkpoint", {}, [log.name])
    whole = shutil.copytree(tmp_path, tmp_path / "whole")
    log.write_text('{"step": 0, "loss": 0.68}\n')
    with pytest.raises(UserError, match=r"train_log\.jsonl: its content is not what"):
        write_curves([whole, tmp_path], tmp_path / "curves", tmp_path / "curves.manifest.json")
    assert not (tmp_path / "curves").exists()
