import pandas as pd
import pytest

from pnapo.artifacts import write_json, write_manifest
from pnapo.errors import UserError
from pnapo.tables.compute import compute_table

COST = {
    **{"seconds": 90.5, "cpu_seconds": 180.0, "gpu_seconds": 7200.0},
    **{"pairs_seen": 3200, "peak_memory_mb": 1500.25},
    **{"forward_passes": 12800, "reference_passes": 320, "shared_reference_passes": 12480},
}


def test_hours_and_names(tmp_path, script):
    folder = tmp_path / "runs" / "flux" / "dpo-strong-s12"
    write_manifest(folder / "compute.json", "cost", {}, [], **COST)
    write_json(folder / "manifest.json", {})
    script("compute_table", "--runs", folder / "manifest.json", "--out", tmp_path / "compute.csv")
    row = pd.read_csv(tmp_path / "compute.csv").iloc[0]
    assert (row["backbone"], row["run"], row["seed"]) == ("flux", "dpo-strong", 12)
    assert (row["cpu_hours"], row["gpu_hours"], row["forward_passes"]) == (0.05, 2.0, 12800)
    assert (row["reference_passes"], row["shared_reference_passes"]) == (320, 12480)
    assert "differ" in (tmp_path / "compute.md").read_text()


@pytest.mark.parametrize("broken", [{"pairs_seen": None}, {"seconds": "long"}, {"reference_passes": None}])
def test_an_incomplete_file_is_named(tmp_path, broken):
    write_manifest(tmp_path / "sd3" / "pnapo-s0" / "compute.json", "cost", {}, [], **COST | broken)
    with pytest.raises(UserError, match=r"compute\.json"):
        compute_table([tmp_path / "sd3" / "pnapo-s0"])


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="RUN-sSEED"):
        compute_table([tmp_path / "sd3" / "base"])
