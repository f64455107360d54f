"""DVC records and stores what Snakemake made: it travels, whole or in part, and nothing is made again without a cause."""

import json
import os
import random
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(5400)

ONE_RUN = {"train": 1, "generate_images": 2, "score_images": 2}
ALWAYS = {"main_table": 1, "geneval_table": 1, "compute_table": 1, "curves": 1, "report": 1}


def scramble(repository) -> None:
    """Give every result a time of its own, in an order that means nothing."""
    files = sorted((repository.folder / "results").rglob("*"))
    for file, age in zip(files, random.Random(0).sample(range(len(files)), len(files))):
        os.utime(file, (1.7e9 + age,) * 2)


def test_a_second_repro_does_nothing(published) -> None:
    assert "up to date" in published.dvc("repro")
    assert published.plan() == {} and published.git("status", "--short") == ""


def test_a_clone_that_pulls_everything_has_nothing_to_do_and_reruns_one_ablation(published, clone) -> None:
    reader = clone()
    reader.dvc("pull")
    assert reader.files("results/runs") == published.files("results/runs")
    scramble(reader)
    reader.run("pnapo", "provenance", "restore")
    for source in [*(reader.folder / "pnapo").rglob("*.py"), *(reader.folder / "rules").rglob("*.smk")]:
        source.touch()
    assert reader.plan() == {}
    reader.set_beta(3000)  # so much that the metrics change too, and not only weights
    assert reader.plan() == ONE_RUN | ALWAYS


def test_a_changed_default_is_seen(clone) -> None:
    reader = clone()
    reader.dvc("pull")
    reader.run("pnapo", "provenance", "restore")
    schema = reader.folder / "pnapo" / "config" / "schema" / "runs.py"
    text = schema.read_text("utf-8")
    changed = text.replace("weight_decay: float = Field(0.0,", "weight_decay: float = Field(0.01,")
    assert changed != text
    schema.write_text(changed, "utf-8")
    assert reader.plan()["train"] == 2


def test_one_checkpoint_or_the_tables_alone_can_be_had(published, clone) -> None:
    reader = clone()
    assert reader.files("results/tables") == published.files("results/tables")  # from git, with nothing pulled
    run = "results/runs/sd3/pnapo-s0"
    reader.dvc("pull", run)
    here = {path for path in reader.files("results") if not path.startswith(("results/tables", "results/curves"))}
    assert {path for path in here if path.startswith("results/runs")} == set(published.files(run))
    assert not (reader.folder / "results" / "pairs").exists() and not (reader.folder / "results" / "images").exists()
    reader.run("pnapo", "provenance", "restore")
    assert reader.plan(f"{run}/manifest.json") == reader.plan("tables") == {}


def test_a_damaged_object_is_named_and_not_used(published, clone) -> None:
    reader = clone()
    reader.dvc("fetch", "results/pairs")
    shard = next((published.folder / "results" / "pairs").rglob("*.safetensors"))
    objects = [file for file in (reader.folder / ".dvc" / "cache").rglob("*") if file.is_file()]
    (stored,) = [file for file in objects if file.read_bytes() == shard.read_bytes()]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-8] + b"nonsense")
    said = reader.run("dvc", "checkout", "results/pairs", check=False)
    here = reader.folder / shard.relative_to(published.folder)
    if said.returncode == 0 and here.exists():  # DVC has trusted its cache: what reads the shard does not
        said = reader.run("pnapo", "verify", "results/pairs/sd3", check=False)
    assert said.returncode != 0 and (here.name in said.stdout or stored.name in said.stdout), said.stdout


def test_a_change_that_is_reverted_brings_its_results_back_untrained(clone) -> None:
    reader = clone()
    reader.dvc("pull")
    before = reader.files("results/runs/sd3/pnapo-s0")
    reader.set_beta(3000)  # so much that the metrics change too, and not only weights
    said = reader.dvc("repro")
    assert "Training sd3 with pnapo" in said and "Training sd3 with diffusion_dpo" not in said
    changed = reader.files("results/runs/sd3/pnapo-s0")
    assert changed.keys() == before.keys() and changed != before
    difference = json.loads(reader.dvc("metrics", "diff", "--json"))
    assert "results/metrics.json" in difference
    reader.commit("another beta")
    reader.git("revert", "--no-edit", "HEAD")
    reader.dvc("checkout")
    reader.run("pnapo", "provenance", "restore")
    assert reader.files("results/runs/sd3/pnapo-s0") == before and reader.plan() == {}
    assert "up to date" in reader.dvc("repro")


def test_an_experiment_changes_one_setting(clone) -> None:
    reader = clone()
    reader.dvc("pull")
    said = reader.dvc("exp", "run", "--set-param", "config.yaml:runs.pnapo.beta=302")
    assert "Training sd3 with pnapo" in said and "Training sd3 with diffusion_dpo" not in said
    assert "beta: 302" in (reader.folder / "config.yaml").read_text("utf-8")
    shown = json.loads(reader.dvc("exp", "show", "--json"))
    assert len(shown) >= 1
    plots = json.loads(reader.dvc("plots", "show", "--json"))
    assert "results/curves/sd3-pnapo-s0.csv" in plots["data"]


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_links_work_but_for_hard_ones_which_are_refused(clone, kind: str) -> None:
    reader = clone()
    reader.dvc("config", "--local", "cache.type", kind)
    reader.dvc("pull")
    cache = {file: file.read_bytes() for file in (reader.folder / ".dvc" / "cache").rglob("*") if file.is_file()}
    if kind == "hardlink":
        done = reader.run("snakemake", "-n", check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
        assert done.returncode == 1 and len(lines) == 1 and "cache.type hardlink" in lines[0]
        return
    reader.run("pnapo", "provenance", "restore")
    assert reader.plan() == {}
    reader.set_beta(3000)  # so much that the metrics change too, and not only weights
    reader.run("snakemake", "--", "results/runs/sd3/pnapo-s0/manifest.json")
    assert Path(reader.folder / "results/runs/sd3/pnapo-s0/manifest.json").is_file()
    assert {file: file.read_bytes() for file in cache} == cache
