"""A wrong configuration ends with one line that names the setting, before anything runs."""

import pytest

CASES = {
    "misspelt setting": ("pairs={step: 3}", r"pairs.step"),
    "wrong range": ("runs={pnapo: {beta: -1}}", r"runs.pnapo.beta"),
    "unknown path": ("runs={pnapo: {path: straight}}", r"runs.pnapo.path"),
    "unknown backbone": ("backbones=[sd4]", r"sd4"),
    "missing source": ("prompts={source: {path: nowhere.csv}}", r"prompts.source.path: nowhere.csv: no such file"),
    "missing model": ("models={sd3: {path: nowhere}}", r"models.sd3.path: nowhere: no such folder"),
}


@pytest.mark.parametrize(("setting", "named"), CASES.values(), ids=CASES.keys())
def test_one_line_names_what_is_wrong(pristine, setting: str, named: str) -> None:
    done = pristine.snakemake("--dry-run", "--config", setting)
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert done.returncode == 1, done.stdout
    assert len(errors) == 1 and errors[0].startswith("error: ") and named in errors[0], done.stdout
    assert "Traceback" not in done.stdout and "Job stats" not in done.stdout
    assert not (pristine.folder / "results").exists()
