"""The whole story once, tiny but real, and then: what Snakemake would do again after each kind of change, and what not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import pytest

from pnapo.artifacts import verify_manifest

from .changes import CHANGES, ONE_RUN, page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PAGE = Path(__file__).parents[2] / "docs" / "partial-reruns.md"


@pytest.fixture(scope="module")
def finished(new_project):
    """A project whose workflow has run to the end; tests leave it as it was."""
    project = new_project()
    shutil.copy(Path(__file__).with_name("tiny.yaml"), project.folder / "config.yaml")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert "Training sd3 with pnapo, seed 0" in done.stdout and "steps (100%) done" in done.stdout
    return project


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """A file with another content for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def test_everything_is_made_and_intact(finished) -> None:
    results = finished.folder / "results"
    for table in ("main", "comparisons", "seeds", "geneval", "compute", "funnel"):
        for suffix in ("csv", "md", "tex"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 0
    columns = "backbone,run,testset,metric,n,mean,median,ci_low,ci_high,win_vs_base,win_vs_dpo,published"
    lines = (results / "tables" / "main.csv").read_text("utf-8").splitlines()
    assert lines[0] == columns and len(lines) == 1 + 3 * 2  # base and two runs by two metrics
    manifests = sorted(results.rglob("manifest.json"))
    assert {m.parents[2 if "runs" in m.parts else 1].name for m in manifests} >= {"runs", "pairs"}
    assert not [problem for manifest in manifests for problem in verify_manifest(manifest)]
    assert not list(results.rglob(".*.tmp*"))
    page = (results / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "http://" not in page.replace("http://www.w3.org", "")


def test_warm_and_plain_processes_make_the_same(finished, new_project) -> None:
    plain, checkpoint = new_project(), "results/runs/sd3/pnapo-s0/manifest.json"
    shutil.copy(finished.folder / "config.yaml", plain.folder / "config.yaml")
    done = plain.snakemake("--", checkpoint, PNAPO_WARM="0")
    assert done.returncode == 0, done.stdout
    made = [path for path in (plain.folder / "results").rglob("*") if path.is_file()]
    assert len(made) > 40
    clocks = ("logs", "benchmarks", "compute.json", "speed.jsonl", "provenance.json")
    for path in made:
        if not any(name in path.parts for name in clocks):
            twin = finished.folder / path.relative_to(plain.folder)
            assert path.read_bytes() == twin.read_bytes(), path


def test_nothing_is_made_twice(finished) -> None:
    assert finished.plan() == {}
    for folder in ("pnapo", "workflow_scripts", "rules", "results/pairs", "results/runs", "results/prompts"):
        for path in sorted((finished.folder / folder).rglob("*.*")):
            os.utime(path)
    assert finished.plan() == {}, "only contents count, not times"
    assert finished.plan("--config", "device=cpu") == {}, "where jobs run is no setting of theirs"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.told)
def test_a_change_makes_again_what_it_touches(finished, change) -> None:
    if change.config:
        assert finished.plan("--config", change.config) == change.jobs
        return
    path = finished.folder / change.file
    with changed(path, path.read_bytes() + b"\n"):
        assert finished.plan() == change.jobs
    assert finished.plan() == {}


def test_the_jobs_are_those_of_the_changed_run(finished) -> None:
    told = finished.snakemake("--dry-run", "--config", "runs={pnapo: {beta: 301}}").stdout
    assert "Training sd3 with pnapo, seed 0" in told and "with diffusion_dpo" not in told
    longer = finished.snakemake("--dry-run", "--config", "runs={pnapo: {steps: 3}}").stdout
    assert "stored path, uniform, seed 0, visit 0001" in longer and "visit 0000" not in longer


def test_settings_of_the_loss_share_the_references_errors(finished) -> None:
    same = "beta: 301, loss: dpo, schedule: anneal, learning_rate: 2e-4, lora_rank: 4, seeds: [0]"
    assert finished.plan("--config", f"runs={{pnapo: {{{same}}}}}") == ONE_RUN


def test_code_can_be_taken_as_it_was(finished) -> None:
    losses = finished.folder / "pnapo" / "objectives" / "losses.py"
    with changed(losses, losses.read_bytes() + b"# a remark\n"):
        assert finished.plan("--config", "freeze_code=true") == {}


def test_tables_come_from_scores_alone_without_torch(finished, tmp_path) -> None:
    reader = copy(finished)
    reader.folder = tmp_path / "reader"
    kept = ("tables", "scores", "curves", "metrics.json", "metrics.manifest.json", "curves.manifest.json")
    kept += ("provenance.json",)
    shutil.copytree(finished.folder, reader.folder, symlinks=True)
    for path in (reader.folder / "results").iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (reader.folder / "torch.py").write_text("raise ImportError('this machine has no torch')\n")
    before = (reader.folder / "results" / "tables" / "main.csv").read_bytes()
    assert reader.plan("tables") == {}
    done = reader.snakemake("--config", "statistics={bootstrap: 99}", "--", "tables", PNAPO_WARM="0")
    assert done.returncode == 0, done.stdout
    assert (reader.folder / "results" / "tables" / "main.csv").read_bytes() != before
    assert not (reader.folder / "results" / "runs").exists() and not (reader.folder / "results" / "images").exists()


def test_the_page_on_partial_reruns_is_current() -> None:
    if os.environ.get("PNAPO_UPDATE_DOCS"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()


def test_a_damaged_shard_is_named_in_one_line(finished) -> None:
    folder = finished.folder / "results" / "pairs" / "sd3" / "samples"
    shard = sorted(folder.glob("*.safetensors"))[0]
    images = f"results/pairs/sd3/images/{shard.stem.removeprefix('shard-')}/manifest.json"
    kept = (finished.folder / images).read_bytes()
    with changed(shard, shard.read_bytes()[:-8] + b"nonsense"):
        done = finished.snakemake("--forcerun", "decode_pairs", "--", images)
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(errors) == 1 and shard.name in errors[0], done.stdout
    assert "Traceback" not in done.stdout and not (finished.folder / images).exists()
    assert finished.snakemake("--", images).returncode == 0
    assert (finished.folder / images).read_bytes() == kept


def test_snakemake_makes_its_own_report(finished) -> None:
    done = finished.snakemake("--report", "report.zip")
    assert done.returncode == 0, done.stdout
    assert (finished.folder / "report.zip").stat().st_size > 10_000
