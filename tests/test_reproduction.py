"""docs/reproduction.md tells what config/paper.yaml says, where each setting is from, and what it would cost."""

import json
import re
from pathlib import Path

import pytest
import yaml

from pnapo.config import load_config, resolve_run
from pnapo.plan import hardware, show
from pnapo.plan.estimate import estimate
from pnapo.plan.experiment import Experiment

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/reproduction.md").read_text("utf-8")
PAPER = ("config.yaml", "config/paper.yaml")
ORIGINS = {"stated", "inferred", "ours"}
# What decides nothing: where files lie, how many are made at once or apart, how a result is stored.
SILENT = re.compile(
    r"\b(batch|shards|dtype|weights|pretrained|checkpoint|config_path|column|category|source|kind|family|path)$"
)


def rows() -> list[list[str]]:
    """The cells of the table of settings."""
    table = PAGE.split("| setting | value | from |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def config(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_config(PAPER[0], [PAPER[1]])


def at(config, setting: str):
    """A setting by its dotted name; a run's `on` as it resolves on that backbone."""
    if match := re.fullmatch(r"runs\.(\w+)\.on\.(\w+)\.(\w+)", setting):
        run, backbone, name = match.groups()
        return resolve_run(config, backbone, run)[name]
    value = config.model_dump()
    for part in setting.split("."):
        value = value[part]
    return value


def test_every_value_of_the_table_is_that_of_the_configuration(config):
    for settings, values, origin, _ in rows():
        assert origin in ORIGINS, settings
        names, said = quoted(settings), quoted(values)
        found = [at(config, name) for name in names]
        if said:  # otherwise it is told in words, which a path shows
            assert found == [yaml.safe_load(v) for v in (said if len(said) > 1 else said * len(names))], settings


def leaves(section, where=""):
    """The dotted names of all settings in a part of a YAML file."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{where}{name}.")
        elif value is not None:
            yield f"{where}{name}"


def test_no_setting_of_the_papers_configuration_is_left_out():
    overlay = yaml.safe_load((ROOT / PAPER[1]).read_text("utf-8"))
    told = {name for settings, *_ in rows() for name in quoted(settings)}
    asked = {part: overlay[part] for part in ("models", "prompts", "pairs", "testsets")}
    # YAML reads the key `on` as true.
    asked["runs"] = {
        "pnapo": {k: v for k, v in overlay["runs"]["pnapo"].items() if k not in (True, "checkpoint_every")}
    }
    left = {name for name in leaves(asked) if name not in told and not SILENT.search(name)}
    assert left == set()


def test_costs_are_what_the_plan_says(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    overlays = {
        name: text for name, text in re.findall(r"```yaml\n# (\w+\.yaml), over config/paper.yaml\n(.*?)```", PAGE, re.S)
    }
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (everything|PNAPO and)", line)]
    assert len(lines) == 3
    for line in lines:
        what, *numbers = [cell.strip() for cell in line.strip("|").split("|")]
        files = [PAPER[1]]
        for name in quoted(what):
            (tmp_path / name).write_text(overlays[name], "utf-8")
            files.append(tmp_path / name)
        plan = estimate(Experiment(load_config(PAPER[0], files), 8), hardware.rates("h800"))
        total = json.loads(show.as_json(plan, "h800", 8))["total"]
        found = (total["gpu_hours"], total["hours_at_best"], total["kept"] / 1e12)
        assert [float(number) for number in numbers] == pytest.approx(found, rel=0.02), what
        if what == "everything":
            hours = {(row.rule, row.backbone): row.gpu_hours for row in plan.rows}
            told = re.search(r"FLUX's: trainings (\d+), test images (\d+), pairs (\d+)\.", PAGE).groups()
            rules = ("train", "generate_images", "generate_pairs")
            assert [int(number) for number in told] == [round(hours[rule, "flux"]) for rule in rules]
