"""Snakemake's records travel with the outputs: saved by content, given back to what is there and unchanged."""

import json
import os
import subprocess
import sys

import pytest

from pnapo.errors import UserError
from pnapo.provenance import FOLDER, restore, save

SNAKEFILE = """
name = config.get("name", "one")
rule all:
    input: "results/joined.txt"
rule write:
    output: "results/{part}/text.txt"
    params: name=lambda wildcards: name if wildcards.part == "changing" else "fixed"
    shell: "echo {params.name} > {output}"
rule join:
    input: "results/changing/text.txt", "results/a-very-long-name-LONG/text.txt"
    output: "results/joined.txt"
    shell: "cat {input} > {output}"
""".replace("LONG", "-".join(map(str, range(66))))


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def planned(*arguments):
    """The rules that would run."""
    said = snakemake("-n", *arguments)
    return {line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith(("rule ", "localrule "))} - {
        "all"
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small workflow that has run once, its records saved."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    snakemake()
    assert save("saved.json") == 3
    return tmp_path


def forget(project):
    """What a clone lacks, and the times it has: the oldest output is the newest file."""
    for record in [file for file in (project / FOLDER).rglob("*") if file.is_file()]:
        record.unlink()
    for age, file in enumerate(sorted(project.glob("results/**/*.txt"))):
        os.utime(file, (2e9 - 1000 * age,) * 2)


def test_a_clone_knows_what_it_pulled_and_sees_a_later_change(project):
    forget(project)
    (project / "results" / "joined.txt").touch()
    assert restore("saved.json") == (3, 0, [])
    assert planned() == set() and planned("--config", "name=two") == {"write", "join"}


def test_what_is_not_there_or_was_changed_is_not_vouched_for(project):
    forget(project)
    (project / "results" / "joined.txt").write_text("edited\n")
    (project / "results" / "changing" / "text.txt").unlink()
    assert restore("saved.json") == (1, 1, ["results/joined.txt"])


def test_what_is_not_there_is_made_only_when_something_needs_it(project):
    forget(project)
    for file in project.glob("results/*/text.txt"):
        file.unlink()
    assert restore("saved.json") == (1, 2, [])
    (project / "Snakefile").touch()
    assert planned() == set()
    (project / "results" / "joined.txt").unlink()
    assert planned() == {"write", "join"}


def test_an_earlier_version_that_comes_back_is_known_again(project):
    kept = {file: file.read_bytes() for file in project.glob("results/**/*.txt")}
    snakemake("--config", "name=two")
    save("saved.json")
    for file, content in kept.items():
        file.write_bytes(content)
    assert planned() == {"write", "join"}
    assert restore("saved.json").different == [] and planned() == set()
    assert planned("--config", "name=two") == {"write", "join"}


def test_records_of_another_format_are_refused(project):
    record = next(file for file in (project / FOLDER).rglob("*") if file.is_file())
    record.write_text(json.dumps({**json.loads(record.read_text()), "record_format_version": 7}))
    with pytest.raises(UserError, match="has format 7, not 6"):
        save("saved.json")
    (project / "saved.json").write_text("{}")
    with pytest.raises(UserError, match="not the records that this version saves"):
        restore("saved.json")
