"""A wrong configuration ends with one line that names the setting, before anything runs."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = {
    "misspelt setting": ("pairs={step: 3}", "pairs.step: unknown setting; did you mean steps?"),
    "unknown choice": ("runs={pnapo: {path: straight}}", "runs.pnapo.path: must be one of"),
}
ABSENT = {
    "prompts={source: {path: nowhere.csv}}": "prompts.source.path: nowhere.csv: no such file",
    "models={sd3: {path: nowhere}}": "models.sd3.path: nowhere: no such folder",
}


@pytest.mark.parametrize(("setting", "named"), CASES.values(), ids=CASES.keys())
def test_one_line_names_what_is_wrong(pristine, setting: str, named: str) -> None:
    done = pristine.snakemake("--dry-run", "--config", setting)
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert done.returncode == 1, done.stdout
    assert len(errors) == 1 and errors[0].startswith("error: ") and named in errors[0], done.stdout
    assert "Traceback" not in done.stdout and "Job stats" not in done.stdout
    assert not (pristine.folder / "results").exists()


@pytest.mark.parametrize(("setting", "named"), ABSENT.items())
def test_a_run_ends_with_what_is_missing_and_a_plan_tells_it(pristine, setting: str, named: str) -> None:
    done = pristine.snakemake("--config", setting)
    assert done.returncode == 1 and f"error: {named}\n" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout and "Job stats" not in done.stdout
    assert not (pristine.folder / "results").exists()
    planned = pristine.snakemake("--dry-run", "--config", setting)
    assert planned.returncode == 0 and f"note: a run will not start:\n{named}\n" in planned.stdout, planned.stdout


def test_the_papers_experiment_is_planned_without_its_files_and_run_with_them_alone(pristine) -> None:
    for name in ("paper.yaml", "published.csv"):
        (pristine.folder / "config" / name).parent.mkdir(exist_ok=True)
        (pristine.folder / "config" / name).write_bytes((ROOT / "config" / name).read_bytes())
    for targets in ([], ["fetch"]):
        planned = pristine.snakemake("--dry-run", "--configfile", "config/paper.yaml", "--", *targets)
        assert planned.returncode == 0, planned.stdout
        assert ("files and folders are missing" in planned.stdout) == (not targets)
    done = pristine.snakemake("--configfile", "config/paper.yaml", "--", "labels")
    assert done.returncode == 1 and "Job stats" not in done.stdout
    assert "  models.flux.path: cache/models/FLUX.1-dev: no such folder (33.7 GB)\n" in done.stdout
    assert "`snakemake --cores 1 --configfile config/paper.yaml -- fetch_diffusiondb " in done.stdout


def test_a_slip_in_the_file_is_located(new_project) -> None:
    project = new_project()
    config = project.folder / "config.yaml"
    config.write_text(config.read_text("utf-8") + "name: [\n", "utf-8")
    done = project.snakemake("--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "error: config.yaml" in done.stdout and "line" in done.stdout
