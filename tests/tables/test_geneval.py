import json

import pandas as pd
import pytest

TAGS = {"a": "two_object", "b": "two_object", "c": "counting"}


def test_tasks_and_overall(put, script, tmp_path):
    put("base", {"a": [1, 1], "b": [1, 0], "c": [0, 0]}, "geneval", "geneval", tags=TAGS)
    put("sft-s0", {"a": [1, 1], "b": [1, 1], "c": [0, 1]}, "geneval", "geneval", tags=TAGS)
    put("base", {"a": [0.3], "b": [0.2], "c": [0.1]}, "utility", "geneval")
    put("sft-s0", {"a": [0.3], "b": [0.2], "c": [0.1]}, "utility", "geneval")
    config = {"backbones": ["sd3"], "runs": {"sft": [0]}, "metrics": {"utility": ["geneval"], "geneval": ["geneval"]}}
    out = tmp_path / "geneval.csv"
    script("geneval_table", "--scores", tmp_path / "scores", "--config", json.dumps(config), "--out", out)
    table = pd.read_csv(out)
    assert table["task"].tolist() == ["two_object", "counting", "overall"] * 2  # the official order; no utility
    assert table["accuracy"].tolist() == [0.75, 0.0, 0.375, 1.0, 0.5, 0.75]
    assert table["n"].tolist() == [2, 1, 3] * 2
    assert "**0.750 ±0.000**" in out.with_suffix(".md").read_text()


def test_nothing_but_a_header_without_geneval(put, script, tmp_path):
    put("base", {"a": [0.3]})
    config = json.dumps({"backbones": ["sd3"], "runs": {}, "metrics": {"hps": ["heldout"]}})
    script("geneval_table", "--scores", tmp_path / "scores", "--config", config, "--out", tmp_path / "g.csv")
    assert (tmp_path / "g.csv").read_text() == "backbone,run,testset,metric,task,n,accuracy,ci_low,ci_high\n"


@pytest.mark.parametrize("config", ['{"backbones": ["sd3"]}', "{", '{"backbones": 3, "runs": {}, "metrics": {}}'])
def test_a_bad_config_is_a_usage_error(config, script, capsys):
    with pytest.raises(SystemExit) as stop:
        script("geneval_table", "--scores", "s", "--config", config, "--out", "g.csv")
    assert stop.value.code == 2 and "--config" in capsys.readouterr().err
