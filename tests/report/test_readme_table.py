"""The README's table: means with half intervals, and how many training seeds they are of."""

import pandas as pd
import pytest

from pnapo.report.readme_table import results_table

MAIN = {"backbone": "sd3", "testset": "heldout", "metric": "hps", "n": 480, "ci_low": 8.0, "ci_high": 9.0}


@pytest.mark.parametrize(
    ("seeds", "told"), [((1, 1), "one training seed,"), ((3, 3), "3 training seeds,"), ((1, 2), "1 to 2 training seeds,")]
)
def test_the_table_tells_how_many_training_seeds_it_is_of(tmp_path, seeds, told):
    (tmp_path / "tables").mkdir()
    runs = ("base", "diffusion_dpo", "pnapo")
    pd.DataFrame([{**MAIN, "run": run, "mean": 8.54} for run in runs]).to_csv(tmp_path / "tables/main.csv", index=False)
    rows = [{"run": run, "seeds": count} for run, count in zip(runs, (1, *seeds))]
    pd.DataFrame([*rows, {"run": "shown_nowhere", "seeds": 9}]).to_csv(tmp_path / "tables/seeds.csv", index=False)
    text = results_table(tmp_path)
    assert told in text and "(n = 480)" in text and "8.54 ± 0.50" in text
