"""A run depends on its own settings and on nothing else."""

import json

import pytest

from pnapo.config import as_json, grid, label_table, networks, pairs_of, policies, resolve_run, runs_on, stops, validate
from pnapo.config.schema import Run

RUNS = ("sft", "diffusion_dpo", "pnapo")


def resolved(raw):
    config = validate(raw)
    return {
        (backbone, run): as_json(resolve_run(config, backbone, run)) for backbone in ("sd3", "flux") for run in RUNS
    }


def test_a_runs_settings_are_its_own(raw):
    before = resolved(raw)
    raw["runs"]["pnapo"]["beta"] = 123
    after = resolved(raw)
    assert {key for key in before if before[key] != after[key]} == {("sd3", "pnapo"), ("flux", "pnapo")}
    raw["runs"]["pnapo"]["on"] = {"flux": {"beta": 5}}
    last = resolved(raw)
    assert {key for key in last if last[key] != after[key]} == {("flux", "pnapo")}
    assert json.loads(last["flux", "pnapo"])["beta"] == 5


def test_another_seed_trains_nothing_again(raw):
    before = resolved(raw)
    raw["runs"]["sft"]["seeds"] = [0, 3]
    assert resolved(raw) == before
    assert policies(validate(raw), "sd3") == ["base", "sft-s0", "sft-s3", "diffusion_dpo-s0", "pnapo-s0"]


def test_resolved_settings_are_a_run(raw):
    settings = resolve_run(validate(raw), "sd3", "pnapo")
    run = Run.model_validate_json(as_json(settings))
    assert run.model_dump(exclude={"seeds", "on", "backbones", "tune"}) == settings


def test_a_run_may_be_on_some_backbones_alone(raw):
    raw["runs"]["sft"]["backbones"] = ["flux"]
    config = validate(raw)
    assert policies(config, "sd3") == ["base", "diffusion_dpo-s0", "pnapo-s0"]
    assert list(runs_on(config, "flux")) == list(RUNS)


def test_a_model_may_have_pairs_of_its_own(raw):
    raw["models"]["guided"] = {**raw["models"]["sd3"], "pairs": {"guidance": 3}}
    config = validate(raw)
    assert pairs_of(config, "sd3") == config.pairs
    assert pairs_of(config, "guided") == config.pairs.model_copy(update={"guidance": 3})


def test_json_does_not_hang_on_the_order_of_keys():
    assert as_json({"b": 1, "a": {"d": 1, "c": 2}}) == as_json({"a": {"c": 2, "d": 1}, "b": 1})
    assert as_json(Run(beta=1)) == as_json(Run(beta=1.0))


def tuned(raw, **changes):
    raw["testsets"]["validation"] = {"source": "validation"}
    raw["tuning"] = {"beta": [0.1, 10], "learning_rate": [0.5, 2, 8], "steps": [50, 200], **changes}
    for run in ("sft", "pnapo"):
        raw["runs"][run]["tune"] = True
    return validate(raw)


def test_tuned_runs_have_grids_of_one_size(raw):
    config = tuned(raw)
    own, points = config.runs["pnapo"], grid(config, "pnapo")
    tried = [resolve_run(config, "sd3", name) for name in points]
    assert [t["beta"] / own.beta for t in tried] == pytest.approx([0.1, 0.1, 0.1, 10, 10, 10])
    assert [t["learning_rate"] / own.learning_rate for t in tried] == pytest.approx([0.5, 2, 8, 0.5, 2, 8])
    assert all(t["snapshots"] == [50, 200] for t in tried)
    rates = [
        point.learning_rate for point in grid(config, "sft").values()
    ]  # without β: more rates, between the same ends
    assert len(rates) == 6 and rates[::5] == pytest.approx([0.5, 8]) and rates[2] / rates[1] == pytest.approx(16**0.2)
    assert grid(config, "diffusion_dpo") == {}


def test_a_point_starts_from_the_runs_settings_on_its_backbone(raw):
    raw["runs"]["pnapo"]["on"] = {"flux": {"beta": 7}}
    raw["runs"]["pnapo"]["snapshots"] = [10]
    config = tuned(raw)
    assert resolve_run(config, "flux", "pnapo_grid3")["beta"] == 70
    assert resolve_run(config, "flux", "pnapo")["snapshots"] == [10, 50, 200]


def test_without_steps_tuning_stops_after_the_last(raw):
    assert stops(tuned(raw, steps=[]), "pnapo") == [200]


def test_labels_lie_with_the_pairs_they_are_of():
    assert label_table(Run(reward="hps")) == "pairs/{backbone}/labels/hps.parquet"
    elsewhere = Run(data="mine", path="independent", reward="hps")
    assert label_table(elsewhere) == "pairs/{backbone}/datasets/mine/labels/hps.parquet"
    given = elsewhere.model_copy(update={"reward": "given"})
    assert label_table(given) == "prompts/datasets/mine.labels.parquet"  # the same for all backbones


def test_a_reward_tells_its_network_and_its_file(raw):
    external = {"kind": "external", "model": "cache/clip-flant5-xxl", "program": "envs/external/vqascore.py"}
    raw["rewards"] |= {
        "v2": {"kind": "hps", "model": "ViT-H-14", "checkpoint": "cache/hpsv2/HPS_v2_compressed.pt"},
        "clip": {"kind": "clip", "model": "ViT-H-14", "weights": "laion2b_s32b_b79k"},
        "blip": {"kind": "imagereward", "model": "cache/ImageReward", "tokenizer": "cache/bert"},
        "vqa": external,
    }
    raw["metrics"] |= {
        name: {"kind": "reward", "reward": name, "testsets": ["heldout"]} for name in ("v2", "blip", "vqa")
    }
    assert networks(validate(raw), ["v2", "clip", "blip", "vqa", "utility"]) == {
        "v2": "ViT-H-14 (HPS_v2_compressed.pt)",
        "clip": "ViT-H-14 (laion2b_s32b_b79k)",
        "blip": "ImageReward (ImageReward.pt)",
        "vqa": "vqascore clip-flant5-xxl",
    }
