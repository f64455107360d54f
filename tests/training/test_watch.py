"""Trainings that go wrong, really: each detector is caused by one, and healthy ones cause none."""

import json
import math

import pytest

from pnapo.artifacts import read_json, verify_manifest, write_json
from pnapo.config.schema import Watch
from pnapo.errors import UserError
from pnapo.training.log import read_log
from pnapo.training.verify import verify_checkpoint

from .conftest import Killed

WATCH = Watch(window=8, accuracy=3)  # ten pairs make a large standard error
WEIGHTS = "pytorch_lora_weights.safetensors"
FULL = "transformer/diffusion_pytorch_model.safetensors"
GOOD = {"adapter": "full", "learning_rate": 3e-4, "steps": 24}
# Of each trouble, what is changed of a training that goes well.
TROUBLES = {
    "gradient_explodes": {"loss": "sft", "learning_rate": 1.0, "steps": 8},  # × 3000
    "both_errors_grow": {"beta": 1.0, "schedule": "constant", "learning_rate": 3e-3},  # too weak an anchor
    "accuracy_collapses": {  # learns, until the learning rate has grown too large
        **{"loss": "ipo", "schedule": "constant", "learning_rate": 0.2, "warmup": 64, "steps": 64, "batch": 10}
    },
    "far_from_reference": {"learning_rate": 0.1, "steps": 8},  # × 300
}


def warned(folder):
    return read_json(folder / "warnings.json")


@pytest.mark.parametrize("name", sorted(TROUBLES))
def test_trouble_is_said_when_it_appears_and_kept(trained, name):
    run = trained(watch=WATCH, **{**GOOD, **TROUBLES[name]})
    content = warned(run.folder)
    (found,) = [one for one in content["warnings"] if one["name"] == name]
    assert content["stopped"] is None and found["numbers"] and 0 < found["step"] <= len(run.lines) * 100
    told = [line for line in run.lines if line.startswith("warning: ")]
    assert f"warning: step {found['step']}: " in " ".join(told) and found["text"] in " ".join(told)
    card = (run.folder / "README.md").read_text()
    assert f"{len(content['warnings'])}, in the order they came" in card and found["text"] in card
    assert "warnings.json" in read_json(run.folder / "manifest.json")["files"]


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_a_training_that_goes_well_is_not_warned_of(trained, adapter):
    run = trained(watch=WATCH, **{**GOOD, "adapter": adapter, "learning_rate": 3e-4 if adapter == "full" else 1e-2})
    assert warned(run.folder)["warnings"] == [] and not any("warning" in line for line in run.lines)
    assert "## Warnings\n\nNone." in (run.folder / "README.md").read_text()


def test_labels_that_say_nothing_are_warned_of(trained, pairs):
    pairs.gap[:] = 1e-5
    assert [one["name"] for one in warned(trained("alike").folder)["warnings"]] == ["no_spread"]
    assert warned(trained("unweighed", schedule="constant").folder)["warnings"] == []
    pairs.gap[:] = 0.02
    assert warned(trained("clear").folder)["warnings"] == []
    pairs.gap[4] = 20.0
    assert [one["name"] for one in warned(trained("one huge").folder)["warnings"]] == ["gap_outlier"]


def test_what_is_not_finite_always_ends_a_training(trained, tmp_path):
    with pytest.raises(
        UserError, match=r"^step \d+: \w+ is (nan|inf): training diverged; lower learning_rate or beta$"
    ):
        trained(learning_rate=1e25)
    assert not (tmp_path / "runs" / "run").exists()


def test_a_resumed_training_has_the_same_warnings(trained, fatal):
    settings = {**GOOD, **TROUBLES["both_errors_grow"], "checkpoint_every": 20, "watch": Watch(window=4)}
    whole = trained("a/run", **settings)
    assert warned(whole.folder)["warnings"][0]["step"] < 20
    with pytest.raises(Killed):
        trained("b/run", embeddings=fatal(12 + 22), **settings)
    resumed = trained("b/run", **settings)
    assert "resuming at step 20" in resumed.lines
    for name in ("warnings.json", "README.md", "manifest.json", FULL):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_stopping_leaves_the_weights_from_before_the_trouble(trained, backbone_of):
    settings = {**GOOD, **TROUBLES["both_errors_grow"], "snapshots": [2, 20, 24]}
    warning = trained("warned/run", watch=Watch(window=4), **settings).folder
    (first, *_) = warned(warning)["warnings"]
    run = trained("stopped/run", watch=Watch(window=4, on_trouble="stop"), **settings)
    kept = first["since"] // 4 * 4  # weights are kept a window apart
    assert warned(run.folder)["stopped"] == {"after": first["step"], "weights": kept}
    assert f"stopped after step {first['step']}; the checkpoint holds the weights of step {kept}" in run.lines
    assert f"for {kept} steps" in (run.folder / "README.md").read_text()
    expected = (
        trained("short/run", **{**settings, "steps": 24, "snapshots": [kept]}).folder / f"snapshots/{kept}" / FULL
    )
    for name in (FULL, f"snapshots/20/{FULL}", f"snapshots/24/{FULL}"):
        assert (run.folder / name).read_bytes() == expected.read_bytes(), name
    assert (run.folder / f"snapshots/2/{FULL}").read_bytes() == (warning / f"snapshots/2/{FULL}").read_bytes()
    log = read_log(warning / "train_log.jsonl")
    assert read_log(run.folder / "train_log.jsonl") == log[: first["step"]]
    manifest = run.folder / "manifest.json"
    assert verify_manifest(manifest) == verify_checkpoint(manifest) == []
    backbone_of().load_policy(manifest, step=24)


def test_stopping_before_any_weights_are_kept_makes_no_checkpoint(trained, pairs, tmp_path):
    with pytest.raises(UserError, match=r"^step 4: its norm is .* times the median"):
        trained(watch=Watch(on_trouble="stop"), **{**GOOD, **TROUBLES["gradient_explodes"]})
    pairs.gap[:] = 1e-5
    with pytest.raises(UserError, match=r"^step 0: half of the 10 pairs"):
        trained(watch=Watch(on_trouble="stop"))
    assert not (tmp_path / "runs" / "run").exists()


@pytest.fixture
def diverging(fatal, monkeypatch):
    """Embeddings whose numbers are NaN from the n-th use on."""

    def make(uses):
        found = fatal(uses)
        monkeypatch.setattr(
            type(found), "strike", lambda self: [value.fill_(math.nan) for value in self._tensors.values()]
        )
        return found

    return make


LATE = {"loss": "sft", "steps": 16, "batch": 2}


@pytest.mark.parametrize("trouble", ["warn", "stop"])
def test_a_late_divergence_is_called_that_and_its_weights_are_none_to_fall_back_to(
    trained, diverging, trouble, tmp_path
):
    """Of step 9, with the weights that eight steps have left: those before are good for sure."""
    watch = Watch(window=4, on_trouble=trouble)
    if trouble == "warn":
        with pytest.raises(UserError, match=r"^step 9: \w+ is nan: training diverged; lower learning_rate or beta$"):
            trained(watch=watch, embeddings=diverging(8), **LATE)
        assert not (tmp_path / "runs" / "run").exists()
        return
    folder = trained(watch=watch, embeddings=diverging(8), **LATE).folder
    assert warned(folder)["stopped"] == {"after": 8, "weights": 4}
    assert [one["name"] for one in warned(folder)["warnings"]] == ["not_finite"]
    assert verify_checkpoint(folder / "manifest.json") == []


def test_a_training_that_was_warned_may_be_told_to_stop_when_it_goes_on(trained, fatal):
    settings = {**GOOD, **TROUBLES["both_errors_grow"], "checkpoint_every": 20, "snapshots": [2]}
    warn, stop = Watch(window=4), Watch(window=4, on_trouble="stop")
    (first, *_) = warned(trained("a/run", watch=warn, **settings).folder)["warnings"]
    assert first["since"] >= 2
    with pytest.raises(Killed):
        trained("b/run", watch=warn, embeddings=fatal(12 + 22), **settings)
    resumed = trained("b/run", watch=stop, **settings)
    assert warned(resumed.folder)["stopped"] == {"after": 20, "weights": 2}
    assert "stopped after step 20; the checkpoint holds the weights of step 2" in resumed.lines
    assert verify_checkpoint(resumed.folder / "manifest.json") == []
    without = {**settings, "snapshots": []}
    with pytest.raises(Killed):
        trained("c/run", watch=warn, embeddings=fatal(12 + 22), **without)
    with pytest.raises(
        UserError, match=r"^step \d+: winner's error .*; to train from step 0 instead, remove .*\.run\.work$"
    ):
        trained("c/run", watch=stop, **without)


def test_what_is_watched_changes_no_training(trained):
    one, two = (trained(name, watch=watch, steps=8).folder for name, watch in (("a/run", None), ("b/run", WATCH)))
    assert (one / WEIGHTS).read_bytes() == (two / WEIGHTS).read_bytes()
    assert json.loads((one / "settings.json").read_text()) == json.loads((two / "settings.json").read_text())


def test_a_log_that_lacks_steps_is_no_stopped_one(trained):
    """Whether a training was stopped is what warnings.json says, and the manifest vouches for that."""
    folder = trained().folder
    write_json(folder / "warnings.json", {**warned(folder), "stopped": {"after": 4, "weights": 4}})
    assert "warnings.json" in verify_checkpoint(folder / "manifest.json")[0]
