"""Warnings of the report, from the files that trainings and evaluation leave."""

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import listing_of, write_json, write_listing, write_manifest
from pnapo.config.schema import Config
from pnapo.report.checks import KINDS, check, clipped, counts
from pnapo.report.collect import collect, read_config, trained_on
from pnapo.watch import Finding

from .conftest import RAW

SETTINGS = {"family": "sd3", "guidance": 1.0, "stop": 30, "run": {"path": "stored"}}


@pytest.fixture
def warned(results):
    """The kinds, places and sentences of the warnings, without those that stand there anyway."""

    def of():
        found = check(collect(results, read_config(str(results / "config.json"))))
        return [(one.kind, one.where, one.text) for one in found if one.kind not in ("ties", "seeds", "reward_hacking")]

    return of


def test_what_trainings_said_stands_there_with_run_seed_and_step(results, warned):
    assert warned() == []
    finding = Finding("both_errors_grow", 12, 4, {"winner": 0.5}, "winner's error +50 %").content()
    for seed in (0, 1):
        path = results / "runs" / "sd3" / f"pnapo-s{seed}" / "warnings.json"
        stopped = {"after": 12, "weights": 4} if seed else None
        write_json(path, {"warnings": [{**finding, "step": 12 + seed}], "stopped": stopped})
        write_manifest(path.parent, "checkpoint", SETTINGS, ["train_log.jsonl", "warnings.json"])
    grew, stopped = warned()
    assert grew[0] == "both_errors_grow" and grew[1].endswith("PNAPO, seeds 0, 1")
    assert grew[2] == "step 12: winner's error +50 % (figures of seed 0)"
    assert stopped[1].endswith("seed 1") and "stopped after step 12 of 30" in stopped[2] and "of step 4" in stopped[2]


def test_images_that_were_made_otherwise(results, warned):
    trained = results / "runs" / "sd3" / "pnapo-s0"
    write_manifest(trained, "checkpoint", {**SETTINGS, "guidance": 4.5}, ["train_log.jsonl", "warnings.json"])
    folder = results / "images" / "sd3" / "sft-s0" / "freeform"
    write_manifest(folder, "images", {"guidance": 1.0, "resolution": 16}, ["images.parquet"])
    (resolution, first, _), (guidance, second, text) = warned()
    assert (resolution, guidance) == ("resolution_mismatch", "guidance_mismatch") and "meant" not in text
    assert "SFT" in first and second.endswith("PNAPO, Free-form prompts, GenEval prompts")  # once for both test sets
    meant = {**RAW["models"]["sd3"], "mixed_guidance": True}
    write_json(results / "config.json", {**RAW, "models": {"sd3": meant}})
    assert [("meant" in text) for *_, text in warned()] == [False, True]


def test_a_reward_that_rose_while_utility_fell(results):
    path = results / "tables" / "comparisons.csv"
    table = pd.read_csv(path)
    mine = (table["run"] == "pnapo") & (table["opponent"] == "base") & (table["testset"] == "freeform")
    for metric, gain in (("hps", 0.5), ("utility", -0.3)):
        chosen = mine & (table["metric"] == metric)
        table.loc[chosen, ["gain", "crossed_low", "crossed_high"]] = [gain, gain - 0.1, gain + 0.1]
    table.to_csv(path, index=False)
    write_listing(listing_of(path), "table", [path.name])
    found = check(collect(results, read_config(str(results / "config.json"))))
    (hit,) = [one for one in found if one.kind == "reward_hacking" and "PNAPO" in one.where]
    assert "hps, which it was trained on, rose by 0.5 over the base model while utility fell by 0.3" in hit.text
    assert KINDS["reward_hacking"] in counts(found)


def test_a_preference_of_several_rewards_was_trained_on_each():
    model = {"kind": "hps", "model": "unused", "checkpoint": "unused"}
    of = {"rewards": {"hps": 100, "rated": "auto"}}
    raw = {**RAW, "rewards": {"hps": model, "rated": model, "held": model}, "preferences": {"both": of}}
    kinds = {name: {"kind": "reward", "reward": name, "testsets": ["freeform"]} for name in raw["rewards"]}
    config = Config(**{**raw, "metrics": {**RAW["metrics"], **kinds}})
    for reward, metrics in (("both", {"hps", "rated"}), ("held", {"held"}), ("given", set())):
        run = config.runs["pnapo"].model_copy(update={"reward": reward})
        assert set(trained_on(config, run)) == metrics


def test_clipping_is_told_of_the_last_steps():
    log = pd.DataFrame({"grad_norm": np.r_[np.full(40, 9.0), np.full(10, 0.2)]})
    assert clipped(log, 1.0) is None
    assert "in 100 % of the last steps (max_grad_norm 0.1)" in clipped(log, 0.1)
