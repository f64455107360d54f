"""What the pages in docs/ tell people to type is right: examples fit the schema, names and links exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pnapo.config import load_config, runs_on
from pnapo.config.resolve import grid
from pnapo.config.schema import Run
from pnapo.plan.estimate import estimate
from pnapo.plan.experiment import Experiment
from pnapo.plan.hardware import rates

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# An example says in its first line what it is laid over: `# mine.yaml, over config/lab.yaml`.
EXAMPLE = re.compile(r"```yaml\n(# (\S+), over (\S+)\n.*?)```", re.S)
EXAMPLES = {(page.stem, found[2]): found for page in PAGES for found in EXAMPLE.finditer(page.read_text("utf-8"))}
LOOSE = {"tune", "seeds", "snapshots", "backbones"}  # how a run is compared, not what it is


def cells(row: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def settings_in(text: str) -> dict:
    """The settings that stand in backquotes, `name: value` each."""
    return {k: v for part in re.findall(r"`(\w+: [^`]+)`", text) for k, v in yaml.safe_load(part).items()}


@pytest.fixture
def laid(monkeypatch, tmp_path):
    """The configuration with an example of a page laid over what it says."""

    def load(page: str, name: str):
        text, _, base = EXAMPLES[page, name].groups()
        (tmp_path / name).write_text(text, "utf-8")
        monkeypatch.chdir(ROOT)
        return load_config("config.yaml", [*([base] if base != "config.yaml" else []), tmp_path / name])

    return load


@pytest.fixture(scope="module")
def lab():
    return load_config(ROOT / "config.yaml", [ROOT / "config/lab.yaml"])


@pytest.mark.parametrize(("page", "name"), EXAMPLES)
def test_examples_fit_the_schema(laid, page, name):
    config = laid(page, name)
    for run, settings in yaml.safe_load(EXAMPLES[page, name][1]).get("runs", {}).items():
        assert (run in config.runs) == (settings is not None), run  # null takes it away


@pytest.mark.parametrize(("page", "name"), [key for key, found in EXAMPLES.items() if found[3] == "config/paper.yaml"])
def test_examples_at_paper_scale_fit_on_its_gpus(laid, page, name):
    """Those of slurm/config.yaml: eight of 80 GB for a training that is split, one for all else."""
    assert estimate(Experiment(laid(page, name), 8), rates("h100")).problems == []


def test_the_studies_compare_runs_that_differ_by_their_path_alone(laid):
    for name in ("small.yaml", "paper-lab.yaml"):
        config = laid("laboratory", name)
        one, other = (config.runs[run].model_dump() for run in ("pnapo", "pnapo_shuffled"))
        differ = {key for key in one if one[key] != other[key]}
        assert differ - {"on", "checkpoint_every"} == {"path"}, name  # without effect there
    own = laid("laboratory", "mine.yaml").runs
    differ = {k for k, v in own["pnapo_early_g"].model_dump().items() if v != own["pnapo"].model_dump()[k]}
    assert differ - LOOSE == {"n2"}


def test_the_laboratory_on_another_backbone(tmp_path):
    command = re.search(
        r"^\$ (sed .*config/lab\.yaml) > (.*\.yaml)$", (ROOT / "docs/laboratory.md").read_text("utf-8"), re.M
    )
    made = subprocess.run(command[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (tmp_path / command[2]).write_text(made, "utf-8")
    config = load_config(ROOT / "config.yaml", [tmp_path / command[2]])
    assert config.backbones == config.claims.backbones == config.budget.backbones == ["flux"]
    assert len(runs_on(config, "flux")) == len(config.runs) > 30 and "pnapo_few_steps" not in config.runs


def test_numbers_that_the_page_on_the_laboratory_states(lab):
    tuned = [name for name, run in lab.runs.items() if run.tune]
    assert {len(grid(lab, name)) for name in tuned} == {4} and lab.tuning.steps == [64, 128]
    assert {tuple(lab.runs[name].seeds) for name in tuned} == {(0, 1, 2)}
    assert {tuple(run.snapshots) for run in lab.runs.values()} == {(), (8, 32, 64, 128)}
    assert (lab.claims.straight, lab.claims.margin, lab.claims.speedup) == (0.1, 0.02, 12)


def test_every_run_of_the_laboratory_is_told_as_it_is(lab):
    rows = [cells(row) for row in (ROOT / "docs/methods.md").read_text("utf-8").splitlines() if row.startswith("|")]
    told = {}
    for _, _, run, axes, beside, _ in (row for row in rows if len(row) == 6 and row[2].startswith("`")):
        run = run.strip("`")
        said = dict(zip(("path", "loss", "schedule"), re.findall(r"`(\w+)`", axes)), **settings_in(beside))
        actual = lab.runs[run].model_dump()
        assert said == {key: actual[key] for key in said}, run
        default = Run().model_dump()
        method = {"time_weight", "reward", "reference", "reference_ema"}
        assert {key for key in method if actual[key] != default[key]} <= set(said), run
        told[run] = said
    parent = "pnapo"
    for run, change in (row for row in rows if len(row) == 2 and row[0].strip("`") in lab.runs):
        run = run.strip("`")
        ours, theirs = (lab.runs[name].model_dump() for name in (run, parent))
        assert settings_in(change) == {k: v for k, v in ours.items() if v != theirs[k] and k not in LOOSE}, run
        parent = run if run == "pnapo_middle" else parent
        told[run] = change
    assert set(told) == set(lab.runs)


def test_the_cost_beside_the_papers_is_what_the_plan_says(tmp_path):
    page = (ROOT / "docs/cost.md").read_text("utf-8")
    (tmp_path / "alone.yaml").write_text(EXAMPLES["cost", "alone.yaml"][1], "utf-8")
    command = [sys.executable, "-m", "pnapo", "plan", "--config", "config/paper.yaml", tmp_path / "alone.yaml"]
    done = subprocess.run([*command, "--gpu", "h800", "--json"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    hours = {(rule["rule"], rule["backbone"]): rule["gpu_hours"] for rule in json.loads(done.stdout)["rules"]}
    stages = [["embed_prompts"], ["generate_pairs"], ["decode_pairs", "label_pairs"], ["cache_reference"], ["train"]]
    for name, backbone in (("SD3-M", "sd3"), ("FLUX.1-dev", "flux")):
        (row,) = [cells(line)[1:] for line in page.splitlines() if line.startswith(f"| {name} |")]
        found = [sum(hours[rule, backbone] for rule in stage) for stage in stages]
        told = [float(cell.strip("*")) for cell in row]
        assert told[:5] == pytest.approx(found, rel=0.01, abs=0.05) and told[5] == pytest.approx(sum(found), rel=0.03)


def test_images_are_written_as_the_official_geneval_wants_them(monkeypatch, tmp_path):
    """Numbered folders, each with its metadata and its images 0000.png, …, whatever the order of the images."""
    monkeypatch.chdir(tmp_path)
    for folder in ("results/paper/testsets", "results/paper/images/sd3/base/geneval"):
        Path(folder).mkdir(parents=True)
    entries = [json.dumps({"tag": "counting", "prompt": text}) for text in ("b", "a")]
    testset = pd.DataFrame({"prompt_id": ["1b", "0a"], "prompt": ["b", "a"], "geneval": entries})
    testset.to_parquet("results/paper/testsets/geneval.parquet")
    rows = [("0a", 1, b"a1"), ("1b", 0, b"b0"), ("0a", 0, b"a0"), ("1b", 1, b"b1")]
    images = pd.DataFrame(rows, columns=["prompt_id", "sample", "image"])
    images.to_parquet("results/paper/images/sd3/base/geneval/images.parquet")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/geneval.md").read_text("utf-8"), re.S)
    exec(code, {})
    made = {str(file.relative_to("for-geneval")): file.read_bytes() for file in Path("for-geneval").rglob("*.*")}
    pngs = {f"{n:05}/samples/{k:04}.png": f"{p}{k}".encode() for n, p in enumerate("ba") for k in (0, 1)}
    assert made == pngs | {f"{n:05}/metadata.jsonl": entries[n].encode() for n in (0, 1)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
