"""What Snakemake would do, from nothing: each rule as often as the configuration asks for it."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from pnapo.config import load_config
from pnapo.plan.graph import jobs_of

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).parents[2] / "docs" / "add-a-method.md"

STORY = {
    **{"write_source": 1, "read_source": 1, "filter_unsafe": 1, "drop_near_duplicates": 1},
    **{"drop_semantic_duplicates": 1, "cluster_prompts": 1, "select_prompts": 1, "funnel_table": 1},
    **{"write_testset": 3, "embed_prompts": 4, "generate_pairs": 2, "collect_pairs": 1, "decode_pairs": 2},
    **{"label_pairs": 4, "train": 3},
    "cache_reference": 2 * 6,  # two paths, 200 steps of 16 pairs: six whole visits of 480 prompts
    # base and three runs on three test sets; four rewards and utility on two of them, utility and GenEval on the third
    **{"generate_images": 12, "score_images": 4 * (2 * 5 + 2)},
    **{"main_table": 1, "geneval_table": 1, "compute_table": 1, "curves": 1, "report": 1},
}
SHARED = {
    "write_source",
    "read_source",
    "write_testset",
    "main_table",
    "geneval_table",
    "compute_table",
    "curves",
    "report",
} | {
    *("filter_unsafe", "drop_near_duplicates", "drop_semantic_duplicates", "cluster_prompts", "select_prompts"),
    "funnel_table",
}


def test_the_default_run_is_the_whole_story(pristine) -> None:
    assert pristine.plan() == STORY


def test_a_plan_without_snakemake_counts_the_same_jobs(pristine, monkeypatch, tmp_path) -> None:
    """`pnapo plan` on the default, and on the laboratory with pairs from elsewhere: every rule there is."""
    monkeypatch.chdir(ROOT)
    assert Counter(job.rule for job in jobs_of(load_config("config.yaml"))) == STORY
    (tmp_path / "some.parquet").write_bytes(b"")
    (tmp_path / "mine.yaml").write_text(f"""
datasets: {{mine: {{path: {tmp_path}, count: 100}}}}
runs:
  given: {{data: mine, reward: given, path: independent, steps: 20}}
  joint: {{data: mine, reward: hps_aesthetic, reward_scale: raw, path: inverted, steps: 20}}
""")
    overlays = ["config/lab.yaml", str(tmp_path / "mine.yaml")]
    counted = Counter(job.rule for job in jobs_of(load_config("config.yaml", overlays)))
    told = pristine.plan("--configfile", *(str(ROOT / overlay) for overlay in overlays))
    assert {rule: (told[rule], counted[rule]) for rule in told | counted if told[rule] != counted[rule]} == {}
    assert counted["encode_dataset"] and counted["measure_policy_gradients"] and counted["choose"]


def test_another_backbone_is_one_switch(pristine) -> None:
    assert pristine.plan("--config", "backbones=[flux]") == STORY
    both = {rule: count * (1 if rule in SHARED else 2) for rule, count in STORY.items()}
    assert pristine.plan("--config", "backbones=[sd3, flux]") == both


def test_one_run_can_be_asked_for(pristine) -> None:
    jobs = pristine.plan("results/runs/sd3/pnapo-s0/manifest.json")
    assert jobs["train"] == jobs["label_pairs"] == jobs["embed_prompts"] == 1
    assert "generate_images" not in jobs


def test_a_run_is_a_target_by_its_name(pristine) -> None:
    jobs = pristine.plan("pnapo")
    assert (jobs["train"], jobs["generate_images"], jobs["score_images"]) == (1, 3, 2 * 5 + 2)
    assert not {"main_table", "report"} & set(jobs)


def test_paths_share_what_they_can(pristine) -> None:
    """Inversion happens where a run asks for it; what is shuffled hangs on the stored pairs."""
    runs = {"inpo_rf": "path: inverted", "ipo": "path: inverted, loss: ipo", "other": "path: shuffled"}
    runs["self_npo"] = "path: truncated, loss: self_npo"
    told = ", ".join(f"{name}: {{{run}, steps: 30}}" for name, run in runs.items())
    jobs = pristine.plan("--config", f"runs={{{told}}}", "--", *runs)
    assert (jobs["invert_pairs"], jobs["collect_inverted"], jobs["collect_pairs"]) == (2, 1, 1)
    assert (jobs["truncate_pairs"], jobs["collect_truncated"]) == (2, 1)
    assert (jobs["train"], jobs["cache_reference"]) == (4, 2)  # inverted and shuffled, one visit each
    assert not {"invert_pairs", "truncate_pairs"} & set(pristine.plan())


def test_labels_by_several_rewards_come_from_those_of_each(pristine) -> None:
    told = (
        "preferences={{both: {{rewards: {{hps: {}, clip: auto}}}}}}",
        "runs={joint: {reward: both, reward_scale: raw}}",
    )
    jobs = pristine.plan("--config", told[0].format(100), told[1], "--", "joint")
    assert (jobs["label_pairs"], jobs["calibrate_labels"], jobs["train"]) == (2, 1, 1)
    assert "calibrate_labels" not in pristine.plan()
    shown = [
        pristine.snakemake("--dry-run", "--printshellcmds", "--config", told[0].format(s), told[1], "--", "train_all")
        for s in (100, 50)
    ]
    commands = [set(re.findall(r"python workflow_scripts/.*", done.stdout)) for done in shown]
    (changed,) = commands[0] - commands[1]  # the factor is the setting of one job
    assert "calibrate_labels.py" in changed and len(commands[0]) == len(commands[1]) > 10


def test_images_from_elsewhere_are_a_pair_set_of_their_own(new_project) -> None:
    project = new_project()
    (project.folder / "mine").mkdir()
    for name in ("a", "b"):
        (project.folder / "mine" / f"{name}.parquet").write_bytes(b"")
    (project.folder / "mine.yaml").write_text("""
datasets: {mine: {path: mine, count: 100}}
preferences: {both: {rewards: {hps: 100, clip: auto}}}
runs:
  theirs: {data: mine, reward: given, path: independent, steps: 20}
  ours: {data: mine, reward: both, reward_scale: raw, path: inverted, steps: 20}
""")
    overlay = ("--configfile", "mine.yaml", "--")
    jobs = project.plan(*overlay, "results/runs/sd3/theirs-s0/manifest.json")
    few = {"read_dataset": 1, "encode_dataset": 2, "collect_dataset": 1, "embed_prompts": 1, "cache_reference": 3}
    assert jobs == {**few, "train": 1}  # neither prompts nor pairs of our own; 20 steps of 16 of 100 pairs
    jobs = project.plan(*overlay, "results/runs/sd3/ours-s0/manifest.json")
    more = {"invert_pairs": 2, "collect_inverted": 1, "decode_pairs": 2, "label_pairs": 2, "calibrate_labels": 1}
    assert jobs == {**few, **more, "train": 1}
    whole = project.plan(*overlay[:2])
    assert (whole["train"], whole["read_dataset"], whole["collect_pairs"], whole["report"]) == (5, 1, 1, 1)
    (project.folder / "mine.yaml").write_text("datasets: {mine: {path: elsewhere, count: 100}}")
    done = project.snakemake(*overlay[:2])
    assert done.returncode == 1 and "error: datasets.mine.path: elsewhere: no such" in done.stdout


def test_a_method_is_added_as_the_page_says(new_project) -> None:
    function, run = re.search(
        r"```python\n(def .*?)```.*?runs:\n(.*?)```", PAGE.read_text("utf-8"), flags=re.S
    ).groups()
    project = new_project()
    losses, schema = project.folder / "pnapo/objectives/losses.py", project.folder / "pnapo/config/schema/runs.py"
    text = losses.read_text("utf-8").replace(
        "LOSSES: dict[str, Loss] = {", f'{function}\n\nLOSSES: dict[str, Loss] = {{\n    "hinge": Loss(hinge),'
    )
    losses.write_text(text, "utf-8")
    text, added = re.subn(r"LossName = Literal\[", r'\g<0>"hinge", ', schema.read_text("utf-8"))
    assert added == 1
    schema.write_text(text, "utf-8")
    (project.folder / "mine.yaml").write_text(f"runs:\n{run}", "utf-8")
    jobs = project.plan("--configfile", "mine.yaml", "--", "hinge")
    assert jobs["train"] == 1 and jobs["hinge"] == 1
    value = "import torch as t; from pnapo.objectives import errors, losses; "
    value += "pair = errors.PairErrors(*t.tensor([[0.2], [0.5], [0.3], [0.2]])); "
    value += "print(losses.hinge(pair, t.tensor([2.0]), t.ones(1)).item())"
    done = subprocess.run([sys.executable, "-c", value], cwd=project.folder, capture_output=True, text=True)
    assert float(done.stdout) == pytest.approx(0.6), done.stderr  # 1 − ½·2·0.4


def test_measurements_of_the_laboratory_can_be_asked_for(pristine) -> None:
    jobs = pristine.plan("results/lab/sd3/gradients-pnapo-s0.json")
    assert jobs["measure_policy_gradients"] == jobs["train"] == 1
    assert not {"measure_gradients", "invert_pairs"} & jobs.keys()
    assert (
        "--policy results/runs/sd3/pnapo-s0/manifest.json"
        in pristine.snakemake("--dry-run", "--printshellcmds", "--", "results/lab/sd3/gradients-pnapo-s0.json").stdout
    )
    assert pristine.plan("results/tables/kl.csv") == {"kl_table": 1}


def test_a_plan_tries_no_rule_that_cannot_apply(pristine) -> None:
    """Without preferences and data sets, as config.yaml is, no rule stands for them."""
    done = pristine.snakemake("--dry-run")
    assert done.returncode == 0 and "Exception" not in done.stdout and "Traceback" not in done.stdout, done.stdout


def test_a_misspelt_target_is_one_clear_line(pristine) -> None:
    for target, said in {
        "pnpao": "did you mean pnapo?",
        "xyz": "runs are sft, diffusion_dpo, pnapo; stages stand in",
    }.items():
        done = pristine.snakemake("--dry-run", target)
        errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
        assert done.returncode == 1 and len(errors) == 1, done.stdout
        assert errors[0].startswith(f"error: {target}: no run, stage or file is called so; {said}")
    done = pristine.snakemake("--dry-run", "--config", "runs={train: {}}")
    assert done.returncode == 1 and "error: runs.train: a stage of the workflow is called so" in done.stdout


def test_processes_of_a_training_are_no_setting(pristine) -> None:
    shown = pristine.snakemake(
        "--dry-run", "--printshellcmds", "--set-resources", "train:processes=2", "train:nodes=1", "--", "pnapo"
    ).stdout
    assert "--processes 2 --nodes 1" in shown


def test_an_overlay_adds_to_the_configuration(pristine) -> None:
    overlay = pristine.folder / "overlay.yaml"
    overlay.write_text("runs: {pnapo: {seeds: [0, 1, 2]}}\nresults: elsewhere\n")
    jobs = pristine.plan("--configfile", "overlay.yaml", "--", "elsewhere/tables/compute.csv")
    assert jobs["train"] == 5
    overlay.unlink()


def test_the_base_model_alone_can_be_measured_and_without_geneval(new_project) -> None:
    project = new_project()
    config = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text("utf-8"))
    config["runs"] = {}
    del config["metrics"]["geneval"]
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    jobs = project.plan()
    assert not {"train", "cache_reference", "geneval_table"} & set(jobs)
    assert (jobs["generate_images"], jobs["score_images"], jobs["report"]) == (1, 1, 1)


def test_the_world_is_made_only_when_asked_for(pristine) -> None:
    jobs = pristine.plan("world")
    assert set(jobs) == {"make_world_part", "world_quality", "world"}
