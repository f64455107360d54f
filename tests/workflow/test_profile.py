"""slurm/config.yaml fits the rules, and plans the paper's experiment where there is no SLURM."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from pnapo.config import load_config
from pnapo.plan.graph import jobs_of

ROOT = Path(__file__).resolve().parents[2]
PROFILE = yaml.safe_load((ROOT / "slurm/config.yaml").read_text("utf-8"))
RULE = r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:\n(.*?)(?=^\S|\Z)"
RULES = {
    name: body
    for path in sorted(Path(ROOT, "rules").glob("*.smk"))
    if path.stem != "world"  # made once, and not on a cluster
    for name, body in re.findall(RULE, path.read_text("utf-8"), flags=re.M | re.S)
}


@pytest.mark.parametrize("part", ["set-resources", "set-threads", "groups"])
def test_what_the_profile_names_are_rules(part: str) -> None:
    assert PROFILE[part].keys() <= RULES.keys()


def test_every_rule_with_a_model_is_told_what_it_gets() -> None:
    models = {name for name, body in RULES.items() if "gpu=" in body}
    assert len(models) > 10 and models <= PROFILE["set-resources"].keys()
    assert all(PROFILE["set-resources"][name]["gpu"] for name in models)


def test_groups_of_components_are_groups() -> None:
    assert PROFILE["group-components"].keys() <= set(PROFILE["groups"].values())


def test_the_papers_experiment_is_planned(new_project) -> None:
    project = new_project()
    for name in ("slurm", "config"):
        shutil.copytree(ROOT / name, project.folder / name)
    train = project.folder / "rules" / "train.smk"  # a rule without a message has its resources printed
    text, count = re.subn(r"    message:\n.*\n", "", train.read_text("utf-8"))
    assert count == 1
    train.write_text(text, "utf-8")
    done = project.snakemake("--profile", "slurm", "--dry-run", "--cores", "64")
    assert done.returncode == 0 and "files and folders are missing" in done.stdout, done.stdout
    config = load_config(ROOT / "config.yaml", [ROOT / "config/paper.yaml"])
    assert project.jobs_in(done.stdout) == Counter(job.rule for job in jobs_of(config))
    trained = re.findall(r"backbone=(\w+), run=\w+, seed=0\n +threads: (\d+)\n +resources: (.*)\n", done.stdout)
    asked = {(name, threads, *re.findall(r"\b(?:gpu|processes)=\d+", told)) for name, threads, told in trained}
    assert asked == {("flux", "32", "gpu=8", "processes=8"), ("sd3", "4", "gpu=1", "processes=1")}
