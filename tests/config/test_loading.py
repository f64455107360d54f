"""Every mistake in a configuration is one line: where, what, and what would be right."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pnapo.config import load_config, policies, resolve_run, validate
from pnapo.config.docs import generated
from pnapo.config.loading import merge
from pnapo.config.schema import Run
from pnapo.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


BOMB = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


def broken(raw, keys, value):
    """The message for `raw` with the setting at a dotted path replaced."""
    changed = copy.deepcopy(raw)
    *path, last = keys.split(".")
    section = changed
    for key in path:
        section = section[key]
    section[last] = value
    with pytest.raises(UserError) as found:
        validate(changed, "config.yaml")
    message = str(found.value)
    assert "\n" not in message and message.startswith("config.yaml: ")
    return message


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        ("runs.pnapo.learing_rate", 1, "runs.pnapo.learing_rate: unknown setting; did you mean learning_rate?"),
        ("bakbones", ["sd3"], "did you mean backbones?"),
        ("runs.pnapo.beta", "high", "runs.pnapo.beta: must be a number, not 'high'"),
        ("runs.pnapo.beta", -1, "must be greater than 0"),
        ("runs.pnapo.steps", 1.5, "must be a whole number"),
        ("runs.pnapo.path", "stord", "must be one of 'stored', 'inverted', "),
        ("runs.pnapo.loss", "ppo", "must be one of 'dpo', 'ipo', "),
        ("runs.pnapo.schedule", "cosine", "'constant', 'reward_gap', 'anneal', 'dynamic'"),
        ("runs.pnapo.reward", "hpz", "did you mean hps?"),
        ("runs.pnapo.reward_scale", "big", "runs.pnapo.reward_scale: must be one of 'auto', 'raw'"),
        ("runs.pnapo.pairs", 9999, "runs.pnapo.pairs: 9999 prompts, but prompts.selection.count is"),
        ("runs.pnapo.n1", 0.9, "n1 must not exceed n2"),
        ("runs.pnapo.seeds", [1, 1], "must be different"),
        ("runs.pnapo.on", {"sd4": {"beta": 1}}, "did you mean sd3?"),
        ("runs.base", {}, "taken by the untrained model"),
        ("runs", {"../etc": {}}, "'../etc' is not a name"),
        ("backbones", ["sd4"], "did you mean sd3?"),
        ("backbones", [], "must not be empty"),
        ("prompts.clusters.count", 1000, "cannot be drawn from 1000 clusters"),
        ("testsets.heldout.path", "list.txt", "give either source"),
        ("metrics.hps.testsets", ["heldot"], "did you mean heldout?"),
        ("metrics.geneval.detector", None, "needs a detector"),
        ("models", 3, "must hold `setting: value` lines"),
        ("results", "a{x}", "results: 'a{x}' has a brace, which Snakemake takes for a wildcard"),
        ("prompts.source.path", "{input}.csv", "prompts.source.path: '{input}.csv' has a brace"),
        ("models.sd3.path", "a\nb", "models.sd3.path: 'a\\nb' begins with - or has characters"),
        ("results", "--help", "results: '--help' begins with -"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(raw, keys, value, said):
    assert said in broken(raw, keys, value)


@pytest.mark.parametrize("loss", ["npo", "self_npo"])
def test_guidance_that_is_embedded_has_no_negative_branch(raw, loss):
    raw["runs"]["diffusion_npo"] = {"loss": loss}
    validate(raw)
    raw["backbones"] = ["flux"]
    with pytest.raises(UserError, match=rf"runs\.diffusion_npo\.loss: {loss} needs classifier-free guidance, but flux"):
        validate(raw)


def test_the_laboratory_is_a_valid_overlay():
    config = load_config(ROOT / "config.yaml", [ROOT / "config" / "lab.yaml"])
    assert {"ipo", "smpo_rf", "pnapo_shuffled"} <= set(config.runs) and len(config.runs) > 25


def test_a_missing_section_is_named(raw):
    del raw["prompts"]["safety"]
    with pytest.raises(UserError, match=r"prompts\.safety: is missing"):
        validate(raw)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\n", "not valid YAML"),
        ("", "must hold"),
        ("- a\n", "must hold"),
        ("seed: 1\nname: x\nseed: 2\n", "'seed' stands twice, in lines 1 and 3"),
        ("runs:\n  a: {beta: 1}\n  a: {beta: 2}\n", "'a' stands twice, in lines 2 and 3"),
        (BOMB, "names parts of itself again and again"),
        ("a: &a\n  b: *a\n", "names parts of itself again and again"),
        ("a: " + "[" * 20_000, "too deeply nested"),
        ("a: " + "{b: " * 900 + "1" + "}" * 900, "too deeply nested"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: 1\n" * 50_000, "more than 200000 characters"),
    ],
)
def test_broken_yaml_is_named(tmp_path, text, said):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as found:
        load_config(path)
    assert said in str(found.value) and str(path) in str(found.value)


def test_numbers_without_a_point_are_numbers(raw):
    raw["runs"]["pnapo"]["learning_rate"] = "1e-4"  # YAML 1.1 reads 1e-4 as text
    assert validate(raw).runs["pnapo"].learning_rate == 1e-4


def test_overlays_are_laid_key_by_key(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("runs: {pnapo: {beta: 7}}\n")
    config = load_config(ROOT / "config.yaml", [overlay], {"backbones": ["flux"]})
    assert config.runs["pnapo"].beta == 7 and config.runs["pnapo"].path == "stored"
    assert config.backbones == ["flux"] and "sft" in config.runs


def test_a_runs_settings_are_its_own(raw):
    before = validate(raw)
    raw["runs"]["pnapo"]["beta"] = 123
    raw["runs"]["pnapo"]["on"] = {"flux": {"beta": 5}}
    raw["runs"]["sft"]["seeds"] = [0, 1]
    after = validate(raw)
    for run in ("sft", "diffusion_dpo"):
        assert resolve_run(before, "sd3", run) == resolve_run(after, "sd3", run)
    assert resolve_run(after, "sd3", "pnapo")["beta"] == 123
    assert resolve_run(after, "flux", "pnapo")["beta"] == 5
    assert Run(**resolve_run(after, "sd3", "pnapo")).beta == 123
    assert policies(after, "sd3") == ["base", "sft-s0", "sft-s1", "diffusion_dpo-s0", "pnapo-s0"]


@pytest.mark.parametrize("name", ["docs/configuration.md", "config/schema.json"])
def test_generated_files_do_not_drift(name):
    assert (ROOT / name).read_text("utf-8") == generated()[name], "run `pnapo config docs`"


def test_light_modules_import_no_torch():
    code = (
        "import sys, pnapo.cli, pnapo.config, pnapo.tables.main, pnapo.tables.terminal, pnapo.world.recipe;"
        "pnapo.cli._parser(); assert not {'torch', 'diffusers', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_null_takes_an_entry_away(raw):
    overlay = {"testsets": {"freeform": None}, "metrics": {name: {"testsets": ["heldout"]} for name in raw["metrics"]}}
    overlay["metrics"]["geneval"] = None
    found = validate(merge(raw, overlay))
    assert set(found.testsets) == {"heldout", "geneval"} and set(found.metrics) == set(raw["metrics"]) - {"geneval"}
    assert "no reward is called hps" in broken(raw, "rewards.hps", None)
    assert "runs.pnapo.beta" in broken(raw, "runs.pnapo.beta", None)


def test_the_papers_configuration_is_one():
    found = load_config(ROOT / "config.yaml", [ROOT / "config" / "paper.yaml"])
    assert found.backbones == ["sd3", "flux"] and set(found.testsets) == {"hpdv2", "opdv1", "geneval"}
    assert (resolve_run(found, "sd3", "pnapo")["beta"], resolve_run(found, "flux", "pnapo")["beta"]) == (5000, 2000)
    assert not [path for model in found.models.values() if (path := model.path).startswith("assets/")]
