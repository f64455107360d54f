"""Each metric is what it says, for each image, and asks for the metadata it needs."""

import json

import numpy as np
import pytest

from pnapo.artifacts import read_table
from pnapo.artifacts.images import Images, encode_png, png_writer
from pnapo.benchmarks.geneval import judge
from pnapo.benchmarks.scoring import score_images
from pnapo.config.schema import Metric
from pnapo.errors import UserError
from pnapo.rewards import load_reward
from pnapo.world import utility
from pnapo.world.captions import scene_from_json
from pnapo.world.detector import WorldDetector
from pnapo.world.render import render

GENEVAL = Metric(kind="geneval", detector="world", testsets=["geneval"])
UTILITY = Metric(kind="utility", testsets=["geneval"])
HPS = Metric(kind="reward", reward="hps", testsets=["geneval"])


@pytest.fixture(scope="module")
def drawn(bench, tmp_path_factory):
    """Two pictures a prompt, in an order of their own: sample 0 shows its scene, sample 1 the next prompt's."""
    manifest = tmp_path_factory.mktemp("drawn") / "manifest.json"
    scenes, rng = [scene_from_json(text) for text in bench.testset["scene"]], np.random.default_rng(0)
    rows = [(p, k, render(scenes[(i + k) % 9], rng)) for i, p in enumerate(bench.testset["prompt_id"]) for k in (0, 1)]
    rows = rows[::-1]
    with png_writer(manifest, {}) as add:
        add([p for p, _, _ in rows], [k for _, k, _ in rows], [encode_png(image) for *_, image in rows])
    return manifest


def texts_of(bench, images, column):
    return [bench.testset.set_index("prompt_id").at[prompt, column] for prompt in images.table["prompt_id"]]


def test_geneval_judges_each_image_by_its_own_prompts_metadata(bench, drawn):
    images = Images(drawn)
    table = score_images(images, bench.testset, GENEVAL)
    assert list(table.columns) == ["prompt_id", "sample", "score", "tag", "correct", "reason", "detector"]
    detector = WorldDetector()
    for row, image, text in zip(table.itertuples(), images, texts_of(bench, images, "geneval")):
        entry = json.loads(text)
        correct, reason = judge(entry, detector.detect(image), lambda box, image=image: detector.color_of(image, box))
        assert (row.correct, row.reason, row.tag, row.score) == (correct, reason, entry["tag"], float(correct))
    assert table.loc[table["sample"] == 0, "correct"].all() and not table.loc[table["sample"] == 1, "correct"].any()
    assert set(table["tag"]) == {"single_object", "two_object", "counting", "colors", "position", "color_attr"}


def test_utility_is_the_worlds_own(bench, drawn):
    images = Images(drawn)
    table = score_images(images, bench.testset, UTILITY)
    scenes = map(scene_from_json, texts_of(bench, images, "scene"))
    assert table["score"].tolist() == [utility.score(image, scene) for image, scene in zip(images, scenes)]
    assert table.loc[table["sample"] == 0, "score"].min() > 0.9 > table.loc[table["sample"] == 1, "score"].max()


def test_a_reward_is_shown_on_the_tables_scale(bench, drawn, rewards):
    images = Images(drawn)
    table = score_images(images, bench.testset, HPS, rewards["hps"])
    raw = load_reward(rewards["hps"]).score(images, texts_of(bench, images, "prompt"))
    np.testing.assert_allclose(table["score"], 100 * raw, rtol=1e-5)
    assert table["score"].dtype == np.float64 and table["sample"].tolist() == images.table["sample"].tolist()


@pytest.mark.parametrize(("metric", "column"), [(GENEVAL, "geneval"), (UTILITY, "scene")])
def test_a_test_set_without_metadata_is_refused(bench, drawn, metric, column):
    images = Images(drawn)
    lacking = bench.testset.assign(**{column: ["", *bench.testset[column][1:]]})
    message = f"^some/list: metric {metric.kind} needs a test set with {column} metadata"
    with pytest.raises(UserError, match=message):
        score_images(images, lacking, metric, origin="some/list")


def test_a_class_that_the_detector_does_not_know_is_no_failure_of_the_picture(bench, drawn):
    images = Images(drawn)
    entry = {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"}
    foreign = bench.testset.assign(geneval=[*bench.testset["geneval"][:-1], json.dumps(entry)])
    with pytest.raises(UserError, match="metric geneval asks for 'bench', which the detector world does not know"):
        score_images(images, foreign, GENEVAL)


def test_geneval_asks_for_a_detector_that_exists(bench, drawn):
    images = Images(drawn)
    with pytest.raises(UserError, match="metric geneval: its detector is missing"):
        score_images(images, bench.testset, GENEVAL.model_copy(update={"detector": None}))
    with pytest.raises(UserError, match="no detector is called yolo; there is world, mask2former"):
        score_images(images, bench.testset, GENEVAL.model_copy(update={"detector": "yolo"}))


def test_images_of_another_test_set_and_a_missing_reward_are_refused(bench, drawn):
    images = Images(drawn)
    with pytest.raises(UserError, match=f"^the test set: lacks prompt {bench.testset['prompt_id'][0]}"):
        score_images(images, bench.testset[1:], UTILITY)
    with pytest.raises(UserError, match="metric hps: its reward's settings are missing"):
        score_images(images, bench.testset, HPS)


@pytest.mark.parametrize("metric", [GENEVAL, UTILITY, HPS])
def test_the_script_writes_the_same_scores(bench, drawn, rewards, script, metric, tmp_path):
    extra = ["--reward", rewards["hps"].model_dump_json()] if metric == HPS else []
    out = tmp_path / "scores.parquet"
    testset = bench.folder / "testset.parquet"
    options = ["--images", drawn, "--testset", testset, "--metric", metric.model_dump_json(), "--device", "cpu"]
    script("score_images", *options, "--out", out, *extra)
    images = Images(drawn)
    expected = score_images(images, bench.testset, metric, rewards["hps"])
    np.testing.assert_allclose(read_table(out)["score"], expected["score"], rtol=1e-6)
