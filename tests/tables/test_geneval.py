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


def test_genevals_hf_says_so_and_published_values_stand_beside_it(put, script, tmp_path):
    """All six tasks, one prompt each but counting with two: overall is the mean of tasks, not of prompts."""
    tasks = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]
    tags = {f"{task}{k}": task for task in tasks for k in range(1 + (task == "counting"))}
    scores = {name: [1.0 if task in tasks[:3] else 0.0] for name, task in tags.items()}
    for policy in ("base", "sft-s0"):
        put(policy, scores, "geneval_hf", "geneval", tags=tags, detector="mask2former")
    (tmp_path / "published.csv").write_text(
        "backbone,run,testset,metric,task,value\nsd3,base,geneval,geneval_hf,,0.68\nsd3,base,geneval,geneval_hf,counting,0.6\n"
    )
    config = json.dumps({"backbones": ["sd3"], "runs": {"sft": [0]}, "metrics": {"geneval_hf": ["geneval"]}})
    shared = ["--scores", tmp_path / "scores", "--config", config, "--published", tmp_path / "published.csv"]
    script("geneval_table", *shared, "--out", tmp_path / "geneval.csv")
    script("main_table", *shared, "--out", tmp_path / "main.csv", "--metrics", tmp_path / "means.json")
    table = pd.read_csv(tmp_path / "geneval.csv")
    assert table["task"].tolist() == [*tasks, "overall"] * 2 and set(table["detector"]) == {"mask2former"}
    assert table["accuracy"].tolist() == [1, 1, 1, 0, 0, 0, 0.5] * 2
    assert table.set_index(["run", "task"])["published"].dropna().to_dict() == {
        ("base", "counting"): 0.6,
        ("base", "overall"): 0.68,
    }
    main = pd.read_csv(tmp_path / "main.csv").set_index("run")
    assert main["mean"].tolist() == [0.5, 0.5] and main.loc["base", "published"] == 0.68
    text = (tmp_path / "geneval.md").read_text()
    assert "GenEval prompts (GenEval-HF, detector mask2former)" in text and "  published" in text
    assert "GenEval-HF is by another detector" in (tmp_path / "main.md").read_text()


def test_nothing_but_a_header_without_geneval(put, script, tmp_path):
    put("base", {"a": [0.3]})
    config = json.dumps({"backbones": ["sd3"], "runs": {}, "metrics": {"hps": ["heldout"]}})
    script("geneval_table", "--scores", tmp_path / "scores", "--config", config, "--out", tmp_path / "g.csv")
    assert (tmp_path / "g.csv").read_text() == (
        "backbone,run,testset,metric,task,n,accuracy,ci_low,ci_high,detector,published\n"
    )


@pytest.mark.parametrize("config", ['{"backbones": ["sd3"]}', "{", '{"backbones": 3, "runs": {}, "metrics": {}}'])
def test_a_bad_config_is_a_usage_error(config, script, capsys):
    with pytest.raises(SystemExit) as stop:
        script("geneval_table", "--scores", "s", "--config", config, "--out", "g.csv")
    assert stop.value.code == 2 and "--config" in capsys.readouterr().err
