from pathlib import Path

import pandas as pd
import pytest

from pnapo.artifacts import write_json, write_manifest
from pnapo.errors import UserError
from pnapo.tables.compute import compute_table
from pnapo.tables.published import read_published

ROOT = Path(__file__).resolve().parents[2]

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
    assert pd.isna(row["published_gpu_hours"])
    assert "differ" in (tmp_path / "compute.md").read_text()


def test_published_hours_stand_beside_ours(tmp_path):
    """Those of the paper, by backbone and run, in every seed's row; empty where none is known."""
    folders = [tmp_path / name for name in ("sd3/pnapo-s0", "sd3/pnapo-s1", "flux/diffusion_dpo-s0", "sd3/ipo-s0")]
    for folder in folders:
        write_manifest(folder / "compute.json", "cost", {}, [], **COST)
    found = compute_table(folders, read_published(ROOT / "config" / "published.csv"))["published_gpu_hours"]
    assert list(found[:3]) == [20.8, 20.8, 422.4] and pd.isna(found[3])


@pytest.mark.parametrize("broken", [{"pairs_seen": None}, {"seconds": "long"}, {"reference_passes": None}])
def test_an_incomplete_file_is_named(tmp_path, broken):
    write_manifest(tmp_path / "sd3" / "pnapo-s0" / "compute.json", "cost", {}, [], **COST | broken)
    with pytest.raises(UserError, match=r"compute\.json"):
        compute_table([tmp_path / "sd3" / "pnapo-s0"])


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="RUN-sSEED"):
        compute_table([tmp_path / "sd3" / "base"])
