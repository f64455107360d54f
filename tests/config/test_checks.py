"""Settings that are right one by one must also fit together."""

import pytest

from pnapo.config import validate


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        ("backbones", ["sd4"], "backbones: no model is called sd4; did you mean sd3?"),
        ("backbones", ["sd3", "sd3"], "backbones: a name stands twice"),
        ("prompts/clusters/count", 1000, "480 prompts cannot be drawn from 1000 clusters; lower"),
        ("pairs/shards", 481, "pairs.shards: 481 files cannot be filled with the 480 prompts"),
        ("rewards/hps/checkpoint", None, "rewards.hps.checkpoint: is missing"),
        ("rewards/clip/kind", "imagereward", "rewards.clip.tokenizer: is missing; kind imagereward needs"),
        ("rewards/clip/kind", "external", "rewards.clip.program: is missing"),
        ("testsets/heldout/path", "list.txt", "testsets.heldout: give either source"),
        ("testsets/heldout/source", None, "testsets.heldout: give either source"),
        ("testsets/selected", {"source": "heldout"}, "testsets.selected: the name is taken by the training prompts"),
        (
            "metrics/hps/testsets",
            ["heldot"],
            "metrics.hps.testsets: no test set is called heldot; did you mean heldout?",
        ),
        ("metrics/hps/testsets", ["heldout", "heldout"], "metrics.hps.testsets: a name stands twice"),
        ("metrics/hps/reward", None, "metrics.hps.reward: no reward is called None"),
        ("metrics/hps/reward", "hpz", "metrics.hps.reward: no reward is called hpz; did you mean hps?"),
        ("metrics/geneval/detector", None, "metrics.geneval.detector: is missing"),
        ("metrics/geneval/detector", "mask2former", "metrics.geneval.mask2former: is missing"),
        (
            "metrics/geneval",
            {
                **{"kind": "geneval", "detector": "mask2former", "testsets": ["geneval"]},
                "mask2former": {"model": "m", "clip": "c"},
            },
            "metrics.geneval.detector: mask2former, but the name of a metric begins with geneval_hf if its detector is",
        ),
        (
            "metrics/geneval_hf",
            {"kind": "geneval", "detector": "world", "testsets": ["geneval"]},
            "metrics.geneval_hf.detector: world, but the name of a metric begins with geneval_hf if its detector is mask",
        ),
        ("metrics/geneval_hf", {"kind": "utility", "testsets": ["heldout"]}, "metrics.geneval_hf.kind: utility, but"),
        ("metrics/geneval/testsets", ["heldout"], "metrics.geneval.testsets: heldout has no GenEval metadata"),
        ("testsets/heldout", {"path": "list.txt"}, "metrics.utility.testsets: heldout comes from a file"),
        ("runs/base", {}, "runs.base: the name is taken by the untrained model"),
        ("runs/pnapo/reward", "hpz", "runs.pnapo.reward: no reward is called hpz; did you mean hps?"),
        ("runs/pnapo/n1", 0.9, "runs.pnapo.n1: 0.9 is later than n2 = 0.8"),
        ("runs/pnapo/snapshots", [20, 201], "runs.pnapo.snapshots: 201 is later than the last step, 200"),
        ("runs/pnapo/tune", True, "runs.pnapo.tune: there is no section `tuning`"),
        ("budget", {"testset": "heldot"}, "budget.testset: no test set is called heldot; did you mean heldout?"),
        ("budget", {"metrics": ["hpz"]}, "budget: no metric is called hpz; did you mean hps?"),
        ("budget", {"metrics": ["geneval"]}, "budget: heldout has no GenEval metadata"),
        ("claims", {"method": "pnpao"}, "claims.method: no run is called pnpao; did you mean pnapo?"),
        ("claims", {"backbones": ["sd4"]}, "claims.backbones: no model is called sd4; did you mean sd3?"),
        ("budget", {"backbones": ["sd4"]}, "budget.backbones: no model is called sd4; did you mean sd3?"),
        ("claims", {"shuffled": "shuffled"}, "claims.shuffled: no run is called shuffled"),
        ("claims", {"others": ["beauty"]}, "claims: no metric is called beauty"),
        (
            "claims",
            {"testset": "geneval"},
            "claims.testset: hps is not measured on geneval; add it to metrics.hps.testsets",
        ),
        ("lab", {"reward": "hpz"}, "lab.reward: no reward is called hpz; did you mean hps?"),
        (
            "preferences",
            {"both": {"rewards": {"hpz": 1}}},
            "preferences.both.rewards: no reward is called hpz; did you",
        ),
        ("preferences", {"both": {"rewards": {}}}, "preferences.both.rewards: must not be empty"),
        (
            "preferences",
            {"hps": {"rewards": {"hps": 1}}},
            "preferences.hps: a reward is called so, and both have labels",
        ),
        (
            "runs/pnapo/reference_ema",
            0.9,
            "runs.pnapo.reference_ema: a reference that follows the policy moves in each step",
        ),
        (
            "runs/pnapo/loss",
            "inversion_dpo_published",
            "compares velocities, and the cache holds errors; set reference: com",
        ),
        (
            "runs/pnapo/sharded",
            True,
            "runs.pnapo.sharded: there is little to split of a LoRA adapter; set adapter: full",
        ),
        ("runs/pnapo/on", {"sd3": {"sharded": True}}, "runs.pnapo.on.sd3.sharded: there is little to split"),
        (
            "runs/pnapo",
            {"adapter": "full", "sharded": True, "optimizer": "adamw_8bit"},
            "runs.pnapo.optimizer: adamw_8bit cannot be split over processes",
        ),
        ("runs/pnapo/seeds", [1, 1], "must be different whole numbers"),
        ("runs/pnapo/seeds", [-1], "must be different whole numbers, none below 0"),
        ("runs/pnapo/on", {"sd4": {"beta": 1}}, "runs.pnapo.on: no model is called sd4; did you mean sd3?"),
    ],
)
def test_what_does_not_fit_together_is_named(broken, keys, value, said):
    assert said in broken(keys, value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "tuning.testset: no test set is called validation"),
        ({"testset": "heldout", "metric": "hpz"}, "tuning: no metric is called hpz; did you mean hps?"),
        ({"testset": "heldout", "steps": [10, 300]}, "tuning.steps: 300 is later than the last step of pnapo, 200"),
        ({"testset": "heldout", "seed": 0}, "tuning.seed: 0 is a seed of pnapo"),
    ],
)
def test_a_grid_that_cannot_be_tried_is_named(raw, broken, changes, said):
    raw["runs"]["pnapo"]["tune"] = True
    assert said in broken("tuning", changes)


def test_no_run_is_called_like_a_point_of_a_grid(raw, broken):
    raw["runs"]["pnapo"]["tune"] = True
    raw["runs"]["pnapo_grid_search"] = {}
    assert "runs.pnapo_grid_search: the name is taken by the grid of pnapo" in broken("tuning", {"testset": "heldout"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repo": "a/b"}, "downloads.mine: give either repo (of the model hub) or url (of a file)"),
        ({"url": "ftp://a"}, "downloads.mine.url: 'ftp://a' is not an address"),
        ({"url": None, "repo": "a"}, "downloads.mine.repo: 'a' is not a repository; write owner/name"),
        (
            {"sha256": {"a": "01234567"}},
            "downloads.mine.sha256: give one hash for a url, and hashes by the files' names",
        ),
        ({"url": None, "repo": "a/b", "sha256": "01234567"}, "downloads.mine.sha256: give one hash for a url, and"),
        ({"sha256": "0123456"}, "downloads.mine.sha256: '0123456' is not a SHA-256; write its 64 digits"),
        ({"files": ["a"]}, "downloads.mine: files and revision are for a repository"),
        ({"path": "cache/other"}, "downloads.mine.path: other is fetched to the same place; choose another"),
        ({"size": 0}, "downloads.mine.size: must be greater than 0"),
    ],
)
def test_a_download_that_cannot_be(raw, broken, change, said):
    raw["downloads"] = {"other": {"url": "https://a/b", "path": "cache/other"}}
    assert said in broken("downloads/mine", {"url": "https://a/b", "path": "cache/mine", **change})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checkpoint": None}, "prompts.safety.checkpoint: is missing; kind detoxify needs one"),
        ({"kind": "column"}, "prompts.safety.column: is missing; kind column needs the name of one"),
        ({"kind": "column", "column": "nsfw"}, "prompts.safety.kind: the embedded world's prompts come without scores"),
        ({"keep": 1.2}, "prompts.safety.keep: must be at most 1"),
    ],
)
def test_a_safety_filter_needs_scores(raw, broken, changes, said):
    assert said in broken("prompts/safety", raw["prompts"]["safety"] | changes)


def test_a_run_takes_a_preference_by_its_name_and_its_labels_as_they_are(raw, broken):
    raw["preferences"] = {"both": {"rewards": {"hps": 100, "clip": "auto"}}}
    raw["runs"]["pnapo"] |= {"reward": "both", "reward_scale": "raw"}
    assert validate(raw).preferences["both"].rewards == {"hps": 100, "clip": "auto"}
    said = broken("runs/pnapo/reward_scale", 100)
    assert said.startswith("runs.pnapo.reward_scale: 100.0 on the preference both") and "set it to raw" in said


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (
            "runs/own",
            {"data": "mine", "path": "stored"},
            "runs.own.path: stored needs the noise that made an image, but",
        ),
        (
            "runs/own",
            {"data": "mine", "path": "shuffled"},
            "runs.own.path: shuffled needs the noise that made an image",
        ),
        (
            "runs/own",
            {"data": "mime", "path": "inverted"},
            "runs.own.data: no data set is called mime; did you mean mine?",
        ),
        (
            "runs/own",
            {"data": "mine", "path": "inverted", "pairs": 9},
            "runs.own.pairs: 9 pairs, but datasets.mine.count",
        ),
        (
            "runs/own",
            {"reward": "given"},
            "runs.own.reward: given is a data set's own preference; name the set in `data`",
        ),
        (
            "rewards/given",
            {"kind": "clip", "model": "x"},
            "rewards.given: the name is taken by a data set's own preference",
        ),
        ("pairs/shards", 9, "datasets.mine.count: 8 pairs cannot fill the 9 files of pairs.shards"),
        ("datasets/heldout", {"path": "x", "count": 8}, "datasets.heldout: a list of prompts is called so"),
        ("datasets/mine/images", ["one"], "datasets.mine.images: "),
    ],
)
def test_images_from_elsewhere_have_no_noise(raw, broken, keys, value, said):
    raw["datasets"] = {"mine": {"path": "mine.parquet", "count": 8}}
    raw["runs"]["own"] = {"data": "mine", "path": "independent", "reward": "given"}
    assert validate(raw).runs["own"].data == "mine"
    assert said in broken(keys, value)


def test_what_a_setting_has_no_use_for_does_no_harm(raw):
    raw["runs"]["sft"] |= {"schedule": "dynamic", "beta": 1}
    raw["testsets"]["official"] = {"path": "evaluation_metadata.jsonl"}
    raw["metrics"]["geneval"]["testsets"] = ["geneval", "official"]
    assert validate(raw).runs["sft"].beta == 1


def test_a_configuration_is_right_when_its_defaults_are_spelt_out(raw):
    """As the report gets it: claims on runs that are not there by default alone."""
    raw["claims"] = {}
    config = validate(raw)
    assert validate(config.model_dump(mode="json")) == config
