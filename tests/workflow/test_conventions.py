"""Rules and scripts fit together: every option a rule passes exists, and every option a script needs is passed."""

import ast
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    name: body
    for path in sorted(Path(ROOT, "rules").glob("*.smk"))
    for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text("utf-8"), flags=re.M | re.S)
}
JOBS = {name: body for name, body in RULES.items() if "shell:" in body}
SCRIPTS = sorted(Path(ROOT, "workflow_scripts").glob("*.py"))


def options(script: Path) -> dict[str, bool]:
    """The script's options, and whether each is required."""
    found = {}
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            required = {k.arg: getattr(k.value, "value", None) for k in node.keywords}.get("required", False)
            found[node.args[0].value] = required
    return found


@pytest.mark.parametrize("rule", JOBS)
def test_a_rule_passes_the_options_of_its_script(rule: str) -> None:
    shell = JOBS[rule].partition("shell:")[2]
    script = re.search(r"python workflow_scripts/(\w+)\.py", shell)[1]
    passed = set(re.findall(r'"(?: )(--[\w-]+)[ "]', shell))
    optional = set(re.findall(r'"(--[\w-]+)"', JOBS[rule].partition("shell:")[0]))  # `{params.x:q}` adds these
    known = options(Path(ROOT, "workflow_scripts", f"{script}.py"))
    assert passed | optional <= known.keys()
    assert {name for name, required in known.items() if required} <= passed
    assert f'code("{script}"' in JOBS[rule] or "code=metric_code" in JOBS[rule] or "touch(" in JOBS[rule]


@pytest.mark.parametrize("rule", JOBS)
def test_a_shell_command_is_one_script_and_nothing_behind_it(rule: str) -> None:
    command = "".join(re.findall(r'"(.*?)"\n', JOBS[rule].partition("shell:")[2]))
    assert (
        command.startswith("python ") and command.endswith(" > {log:q} 2>&1") and not set(";&|\n") & set(command[:-5])
    )


@pytest.mark.parametrize("rule", JOBS)
def test_a_rule_tells_what_it_does_and_needs(rule: str) -> None:
    for directive in ("input", "output", "log", "benchmark", "threads", "resources", "conda", "message", "shell"):
        assert re.search(rf"^    {directive}:", JOBS[rule], flags=re.M), f"{rule} has no {directive}:"


@pytest.mark.parametrize("rule", JOBS)
def test_a_rule_has_more_memory_and_time_in_each_attempt(rule: str) -> None:
    for name in ("mem_mb", "runtime"):
        assert re.search(rf"^        {name}=growing\(\d+\),$", JOBS[rule], flags=re.M), f"{rule}: {name}"


RETRIED = """
include: "{helper}"
rule hungry:
    output: "out"
    resources: mem_mb=growing(100), runtime=growing(10)
    retries: 3
    shell: "echo {{resources.mem_mb}} {{resources.runtime}} >> asked; test {{resources.mem_mb}} -ge 300 && touch {{output}}"
"""


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ((), ["100 10", "200 20", "300 30"]),
        (
            ("--resources", "mem_mb=150"),
            ["100 10", "150 20", "150 30", "150 40"],
        ),  # what the machine has is not exceeded
        (("--set-resources", "hungry:mem_mb=300"), ["300 10"]),  # what a profile sets stands
    ],
)
def test_a_local_job_that_is_tried_again_has_more(tmp_path: Path, more: tuple[str, ...], asked: list[str]) -> None:
    (tmp_path / "Snakefile").write_text(RETRIED.format(helper=ROOT / "rules" / "helpers" / "resources.smk"))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(tmp_path), *more]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "asked").read_text().splitlines() == asked


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_thin_and_importable(script: Path) -> None:
    text = script.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert "def main(argv: list[str] | None = None) -> None:" in text
    assert text.endswith('if __name__ == "__main__":\n    scripting.run(main)\n')


def test_the_conda_environments_are_those_of_the_lock() -> None:
    written = {file.name: file.read_text("utf-8") for file in Path(ROOT, "envs").glob("*.yaml")}
    assert written == runpy.run_path(str(ROOT / "envs" / "generate.py"))["environments"](), "run: make lock"
    pins = {name: set(yaml.safe_load(text)["dependencies"][-1]["pip"]) for name, text in written.items()}
    lock = set(re.findall(r"^([\w.-]+==[\w.]+)", Path(ROOT, "requirements.lock").read_text("utf-8"), flags=re.M))
    assert all(found and found <= lock for found in pins.values())
    packages = {name: {pin.partition("==")[0] for pin in found} for name, found in pins.items()}
    assert {"torch", "torchvision", "diffusers", "transformers", "peft"} <= packages["models.yaml"]
    assert {"detoxify", "faiss-cpu"} <= packages["prompts.yaml"] and "torch" not in packages["tables.yaml"]


def test_dvc_reads_its_stages() -> None:
    stages = yaml.safe_load(Path(ROOT, "dvc.yaml").read_text("utf-8"))["stages"]
    targets = {target for stage in stages.values() for target in stage["cmd"].partition(" -- ")[2].split()}
    assert targets <= RULES.keys()
    assert all(next(iter(out.values()))["persist"] for stage in stages.values() for out in stage["outs"])


def test_setup_says_which_python_it_needs(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "setup", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.startswith("error: no Python 3.11 or newer") and not (tmp_path / ".venv").exists()
