"""The detector on a tiny Mask2Former in the hub's format: what transformers computes, whatever stands beside an image."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from pnapo.artifacts import read_table
from pnapo.artifacts.images import Images, encode_png, png_writer
from pnapo.benchmarks.scoring import score_images
from pnapo.config.schema import Metric, Rules
from pnapo.detectors.instances import instances
from pnapo.detectors.mask2former import Mask2Former
from pnapo.detectors.registry import load_detector
from pnapo.errors import UserError

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "geneval_metadata.jsonl"


@pytest.fixture(scope="module")
def detector(settings):
    return Mask2Former(settings)


def seen_by(detector, images):
    """What it finds in each image: class, score, box and mask of every object."""
    looked = list(detector.look(map(detector.prepare, images)))
    assert all(image is given for (image, _), given in zip(looked, images))
    return [[(d.label, d.score, d.box, d.mask.tobytes()) for d in found] for _, found in looked]


def test_it_finds_what_transformers_computes(detector, plain, pictures):
    total = 0
    for image, (_, found) in zip(pictures, detector.look(map(detector.prepare, pictures))):
        logits = plain(image)
        assert logits.seen == ((64, 64) if image.shape[0] == image.shape[1] else (64, 96))  # whole multiples of 32
        expected = instances(logits.classes, logits.masks, logits.seen, image.shape[:2])
        ours, theirs = ({(d.label, d.box): d.score for d in side} for side in (found, expected))
        theirs = {(detector.classes[label], box): score for (label, box), score in theirs.items()}
        for where, score in theirs.items():
            assert ours[where] == pytest.approx(score, abs=1e-4)
        assert all(d.mask.shape == image.shape[:2] and d.mask.dtype == bool for d in found)
        total += len({d.label for d in found if d.score > 0.1})
    assert total > 5


def test_neighbours_and_order_do_not_matter(detector, settings, pictures):
    whole = seen_by(detector, pictures)
    assert len(set(map(str, whole))) == len(pictures)
    order = [7, 0, 4, 2, 6, 1, 5, 3]
    assert seen_by(detector, [pictures[i] for i in order]) == [whole[i] for i in order]
    assert seen_by(detector, pictures[2:3]) == whole[2:3]
    alone = Mask2Former(settings.model_copy(update={"batch": 1}))
    for ours, theirs in zip(seen_by(alone, pictures), whole):
        np.testing.assert_allclose([d[1] for d in ours][:20], [d[1] for d in theirs][:20], atol=1e-4)


def test_a_floor_leaves_out_the_unlikely_and_nothing_else(detector, settings, pictures):
    floor = 0.15
    kept = [[d for d in found if d[1] > floor] for found in seen_by(detector, pictures)]
    assert seen_by(Mask2Former(settings, floor), pictures) == kept and any(kept)


def test_the_weights_have_the_names_of_the_hubs(folder):
    """As transformers' conversion script gave them; the library's own are others by now, and are translated in loading."""
    swin = "model.pixel_level_module.encoder"
    names = {
        f"{swin}.embeddings.patch_embeddings.projection.weight",
        f"{swin}.encoder.layers.0.blocks.0.attention.self.relative_position_bias_table",
        f"{swin}.encoder.layers.1.blocks.0.intermediate.dense.weight",
        f"{swin}.hidden_states_norms.stage4.weight",
        "model.pixel_level_module.decoder.adapter_1.0.weight",
        "model.transformer_module.decoder.layers.0.cross_attn.in_proj_weight",
        "class_predictor.weight",
    }
    assert names <= load_file(folder / "model.safetensors").keys()


def test_classes_have_genevals_names(detector):
    assert len(set(detector.classes)) == 80
    assert {"computer mouse", "tv remote", "computer keyboard", "hair drier"} <= set(detector.classes)
    if OFFICIAL.exists():
        entries = [json.loads(line) for line in OFFICIAL.read_text("utf-8").splitlines()]
        asked = {item["class"] for e in entries for part in ("include", "exclude") for item in e.get(part, [])}
        assert asked == set(detector.classes)


def test_lists_that_spell_classes_as_pascal_voc_does_give_the_same_names(detector, settings, folder, tmp_path):
    spelled = {"motorcycle": "motorbike", "airplane": "aeroplane", "couch": "sofa", "potted plant": "pottedplant"}
    spelled |= {"dining table": "diningtable", "tv": "tvmonitor"}
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    config["id2label"] = {number: spelled.get(name, name) for number, name in config["id2label"].items()}
    config["label2id"] = {name: int(number) for number, name in config["id2label"].items()}
    assert set(spelled.values()) <= config["label2id"].keys()
    (copy / "config.json").write_text(json.dumps(config))
    assert Mask2Former(settings.model_copy(update={"model": str(copy)})).classes == detector.classes


def test_the_floor_is_the_lower_threshold(settings):
    rules = Rules(threshold=0.4, counting_threshold=0.2)
    made = Metric(kind="geneval", detector="mask2former", mask2former=settings, rules=rules, testsets=["geneval"])
    assert load_detector(made).floor == 0.2
    with pytest.raises(UserError, match="detector mask2former has no settings; set `mask2former`"):
        load_detector(made.model_copy(update={"mask2former": None}))


@pytest.mark.parametrize("damage", ["missing", "no weights", "incomplete", "not finite", "no processor"])
def test_damaged_files_are_one_clear_line(settings, folder, pictures, tmp_path, damage):
    copy = tmp_path / "copy"
    if damage != "missing":
        shutil.copytree(folder, copy)
    weights = copy / "model.safetensors"
    if damage == "no weights":
        weights.unlink()
    elif damage == "no processor":
        (copy / "preprocessor_config.json").write_text("{")
    elif damage != "missing":
        state = load_file(weights)
        if damage == "incomplete":
            state.pop("class_predictor.weight")
        else:
            state["class_predictor.bias"][3] = float("nan")
        save_file(state, weights, {"format": "pt"})
    with pytest.raises(UserError, match=re.escape(str(copy))) as error:
        seen_by(Mask2Former(settings.model_copy(update={"model": str(copy)})), pictures[:1])
    assert "\n" not in str(error.value)


def test_the_script_scores_with_it_and_says_whose_scores_they_are(settings, detector, pictures, script, tmp_path):
    """One entry asks for what the detector finds best in its picture, one for a class that is not there."""
    import pandas as pd

    (image, found), *_ = detector.look(map(detector.prepare, pictures))
    best = found[0]
    absent = next(name for name in detector.classes if name not in {d.label for d in found})
    items = [{"class": best.label, "count": 1}, {"class": absent, "count": 1}]
    items.append({"class": best.label, "count": 1, "color": detector.color_of(image, best)})
    entries = [{"tag": "single_object", "include": [item], "prompt": f"prompt {k}"} for k, item in enumerate(items)]
    ids = [f"{k:016x}" for k in range(3)]
    texts = [json.dumps(entry) for entry in entries]
    testset = pd.DataFrame({"prompt_id": ids, "prompt": [e["prompt"] for e in entries], "geneval": texts, "scene": ""})
    testset.to_parquet(tmp_path / "testset.parquet")
    with png_writer(tmp_path / "manifest.json", {}) as add:
        add(ids, [0, 0, 0], [encode_png(image)] * 3)
    rules = Rules(threshold=best.score * 0.99)
    metric = Metric(kind="geneval", detector="mask2former", mask2former=settings, rules=rules, testsets=["geneval"])
    options = {"images": tmp_path / "manifest.json", "testset": tmp_path / "testset.parquet", "device": "cpu"}
    options |= {"metric": metric.model_dump_json(), "out": tmp_path / "scores.parquet"}
    script("score_images", *(part for name, value in options.items() for part in (f"--{name}", value)))
    scores = read_table(tmp_path / "scores.parquet")
    assert scores["correct"].tolist() == [True, False, True] and set(scores["detector"]) == {"mask2former"}
    entries[0]["include"][0]["class"] = "mouse"
    foreign = testset.assign(geneval=[json.dumps(entry) for entry in entries])
    with pytest.raises(UserError, match="asks for 'mouse', which the detector mask2former does not know"):
        score_images(Images(tmp_path / "manifest.json"), foreign, metric)
