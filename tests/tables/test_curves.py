import pandas as pd
import pytest

from pnapo.errors import UserError
from pnapo.tables.curves import write_curves


def test_a_runs_log_becomes_a_table(tmp_path, script):
    folder = tmp_path / "runs" / "flux" / "dpo-s1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "train_log.jsonl").write_text(
        '{"step": 0, "loss": 0.69, "margin": null}\n{"step": 1, "loss": 0.5, "margin": 2}\n'
    )
    script("curves", "--runs", folder / "manifest.json", "--out", tmp_path / "curves")
    assert (tmp_path / "curves" / "flux-dpo-s1.csv").read_text() == "step,loss,margin\n0,0.69,\n1,0.5,2.0\n"
    assert len(pd.read_csv(tmp_path / "curves" / "flux-dpo-s1.csv")) == 2


def test_a_damaged_log_is_named(tmp_path):
    with pytest.raises(UserError, match=r"train_log\.jsonl: no such file"):
        write_curves([tmp_path], tmp_path)
    (tmp_path / "train_log.jsonl").write_text('{"step": 0')
    with pytest.raises(UserError, match=r"train_log\.jsonl: damaged"):
        write_curves([tmp_path], tmp_path)
