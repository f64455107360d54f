"""A wrong configuration ends with one line that names the setting, before anything runs."""

import pytest

CASES = {
    "misspelt setting": ("pairs={step: 3}", "pairs.step: unknown setting; did you mean steps?"),
    "unknown choice": ("runs={pnapo: {path: straight}}", "runs.pnapo.path: must be one of"),
    "missing source": ("prompts={source: {path: nowhere.csv}}", "prompts.source.path: nowhere.csv: no such file"),
    "missing model": ("models={sd3: {path: nowhere}}", "models.sd3.path: nowhere: no such folder"),
}


@pytest.mark.parametrize(("setting", "named"), CASES.values(), ids=CASES.keys())
def test_one_line_names_what_is_wrong(pristine, setting: str, named: str) -> None:
    done = pristine.snakemake("--dry-run", "--config", setting)
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert done.returncode == 1, done.stdout
    assert len(errors) == 1 and errors[0].startswith("error: ") and named in errors[0], done.stdout
    assert "Traceback" not in done.stdout and "Job stats" not in done.stdout
    assert not (pristine.folder / "results").exists()


def test_a_slip_in_the_file_is_located(new_project) -> None:
    project = new_project()
    config = project.folder / "config.yaml"
    config.write_text(config.read_text("utf-8") + "name: [\n", "utf-8")
    done = project.snakemake("--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "error: config.yaml" in done.stdout and "line" in done.stdout
