"""Images from elsewhere: a parquet file of pairs becomes a pair set without noise, and what trains on it is told apart."""

import io
import json
import os
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pnapo import cli
from pnapo.artifacts import files_of, prompt_id, prompt_of, read_manifest, read_table, read_tensors, write_table
from pnapo.config.schema import Dataset, Inversion, Pairs, Run
from pnapo.errors import UserError
from pnapo.pairs.dataset import encode_shard, picture, prompts_of, read_pairs
from pnapo.pairs.embeddings import read_embeddings, write_embeddings
from pnapo.pairs.images import decode_shard, images_of
from pnapo.pairs.invert import invert_shard
from pnapo.pairs.labels import score_samples
from pnapo.pairs.preferences import load_pairs
from pnapo.pairs.store import PairSet, collect, shard_manifests
from pnapo.pairs.verify import verify_pairs
from pnapo.rewards import load_reward
from pnapo.training.reference import make_visit, read_visit
from pnapo.training.settings import resolve_settings
from pnapo.world.render import render
from pnapo.world.scenes import all_scenes

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
PAGE = Path(__file__).parents[2] / "docs" / "your-own-pairs.md"
CAPTIONS = ["a ring", "two stars", "a ring", None, "a cross", "a ring", "  ", "five dots"]
LABELS = [(1, 0), (0, 1), (0.5, 0.5), (1, 0), (0, 1), (0, 1), (1, 0), (1, np.nan)]
KEPT = [0, 1, 4, 5]  # with a prompt and a preference


def encoded(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder of two files in Pick-a-Pic's columns, its images, and the data set's section."""
    folder, rng = tmp_path_factory.mktemp("dataset"), np.random.default_rng(0)
    images = [Image.fromarray(render(scene, rng)) for scene in all_scenes()[:16]]
    table = pd.DataFrame({"caption": CAPTIONS})
    for side in (0, 1):
        table[f"jpg_{side}"] = [encoded(image) for image in images[side::2]]
        table[f"label_{side}"] = [float(pair[side]) for pair in LABELS]
    write_table(folder / "0.parquet", table[:3])
    write_table(folder / "1.parquet", table[3:])
    columns = {"prompt": "caption", "images": ["jpg_0", "jpg_1"], "scores": ["label_0", "label_1"]}
    return sorted(folder.glob("*.parquet")), images, Dataset(path=str(folder), count=4, guidance=2.0, **columns)


@pytest.fixture(scope="module")
def taken(source, models, tmp_path_factory):
    """The folder of the pair set that the scripts make of it: manifest, pairs, prompts, labels, embeddings."""
    from pnapo.backbones import load_backbone

    files, _, dataset = source
    folder = tmp_path_factory.mktemp("taken")
    model, told = models["sd3"].model_dump_json(), ["--dataset", dataset.model_dump_json()]

    def script(name, *arguments):
        runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]([str(a) for a in arguments])

    names = {
        "prompts": folder / "prompts.parquet",
        "labels": folder / "labels.parquet",
        "out": folder / "pairs.parquet",
    }
    script("read_dataset", "--files", *files, *told, *(a for name, p in names.items() for a in (f"--{name}", p)))
    settings, shards = ["--settings", '{"shards": 2, "batch": 3}'], [folder / f"shard-{k}.json" for k in (0, 1)]
    for number, out in enumerate(shards):
        options = [*told, *settings, "--model", model, "--shard", number, "--device", "cpu", "--out", out]
        script("encode_dataset", "--pairs", folder / "pairs.parquet", *options)
    script("collect_pairs", "--shards", *shards, *settings, *told, "--out", folder / "manifest.json")
    (folder / "embeddings").mkdir()
    write_embeddings(load_backbone(models["sd3"], {"text"}), names["prompts"], folder / "embeddings" / "manifest.json")
    return folder


def test_pairs_with_a_prompt_and_a_preference_are_listed(source):
    files, _, dataset = source
    pairs = read_pairs(files, dataset)
    ring, stars, cross = map(prompt_id, ("a ring", "two stars", "a cross"))
    assert list(pairs["prompt_id"]) == [ring, stars, cross, f"{ring}-1"]  # two pairs of one prompt
    assert [prompt_of(pair) for pair in pairs["prompt_id"]] == [ring, stars, cross, ring]
    assert list(pairs["row"]) == [0, 1, 1, 2] and list(pairs["file"]) == [str(files[k]) for k in (0, 0, 1, 1)]
    assert pairs[["score_0", "score_1"]].to_numpy().tolist() == [list(LABELS[row]) for row in KEPT]
    assert prompts_of(pairs).to_numpy().tolist() == [[ring, "a ring"], [stars, "two stars"], [cross, "a cross"]]
    plain = read_pairs(files, dataset.model_copy(update={"scores": None, "count": 6}))
    assert list(plain["score_0"]) == [1.0] * 6 and list(plain["score_1"]) == [0.0] * 6  # the first is preferred


def test_binarized_open_image_preferences_need_no_settings(source, tmp_path):
    """Their columns, images as the datasets library writes them, in several files beside others."""
    _, images, _ = source
    struct = [{"bytes": encoded(image, "JPEG"), "path": f"{row}.jpg"} for row, image in enumerate(images[:6])]
    for number in range(3):
        pair = {
            "prompt": [f"prompt {number}"],
            "chosen": struct[number : number + 1],
            "rejected": struct[3 + number :][:1],
        }
        pd.DataFrame(pair).to_parquet(tmp_path / f"train-0000{number}-of-00003.parquet", index=False)
    pd.DataFrame({"other": [1]}).to_parquet(tmp_path / "test.parquet")
    dataset = Dataset(path=str(tmp_path / "train-*.parquet"), count=3)
    pairs = read_pairs(files_of(dataset.path), dataset)
    assert list(pairs["prompt"]) == ["prompt 0", "prompt 1", "prompt 2"] and (pairs["score_0"] > pairs["score_1"]).all()
    value = pd.read_parquet(pairs["file"][1])["chosen"][0]
    assert picture(value, 32).shape == (32, 32, 3)


def test_hpdv2s_list_becomes_a_data_set_as_the_page_says(source, tmp_path, monkeypatch):
    _, images, _ = source
    (tmp_path / "train").mkdir()
    for number, image in enumerate(images[:4]):
        image.save(tmp_path / "train" / f"{number}.png")
    entries = [
        {"prompt": "a", "file_path": ["0.png", "1.png"], "human_preference": [0, 1]},
        {"prompt": "b", "image_path": ["2.png", "3.png"], "human_preference": [1, 0]},
    ]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1], {})
    table = pd.read_parquet("hpdv2.parquet")
    better = [np.array(picture(value, 32)) for value in table["chosen"]]
    assert np.array_equal(better[0], np.asarray(images[1])) and np.array_equal(better[1], np.asarray(images[2]))
    assert list(read_pairs(["hpdv2.parquet"], Dataset(path="hpdv2.parquet", count=2))["prompt"]) == ["a", "b"]


def test_what_a_data_set_lacks_is_named(source, tmp_path):
    files, _, dataset = source
    for change, said in {
        ("count", 5): "holds 4 pairs with a prompt and a preference, but `count` asks for 5",
        ("prompt", "text"): r"0\.parquet: no column 'text'; it has 'caption'",
        ("images", ("jpg_0", "png")): r"0\.parquet: no column 'png'; name the two columns",
    }.items():
        with pytest.raises(UserError, match=said):
            read_pairs(files, dataset.model_copy(update=dict([change])))
    (tmp_path / "cut.parquet").write_bytes(files[0].read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cut\.parquet: not a readable parquet file"):
        read_pairs([tmp_path / "cut.parquet"], dataset)


def test_images_are_scaled_and_cut_to_the_square():
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 20:60] = 200  # the middle square
    for value in (encoded(Image.fromarray(halves)), {"bytes": encoded(Image.fromarray(halves)), "path": None}):
        assert np.array_equal(picture(value, 40), np.full((40, 40, 3), 200))
        assert picture(value, 10).shape == (10, 10, 3)
    grey = Image.new("L", (32, 32), 7)
    assert np.array_equal(picture(encoded(grey), 32), np.full((32, 32, 3), 7))
    for wrong in (None, {"path": "x.png"}, b"no image", encoded(grey)[:40]):
        with pytest.raises(OSError):
            picture(wrong, 32)


def test_latents_are_the_vaes_and_there_is_no_noise(world, source, taken):
    _, images, _ = source
    pairs = PairSet.open(taken / "manifest.json")
    chosen = [images[2 * row + side] for row in KEPT for side in (0, 1)]
    pixels = torch.from_numpy(np.stack([np.array(image) for image in chosen])).permute(0, 3, 1, 2) / 127.5 - 1
    latent = pairs.latent(range(4))
    assert torch.allclose(latent.flatten(0, 1), world.backbone.encode_images(pixels), atol=1e-5)
    assert latent.dtype == torch.float32 and pairs.latent_shape == (12, 8, 8) and pairs.samples == 2
    assert pairs.noise(range(4)).shape == (4, 2, 0, 0, 0) and pairs.noise([1, 2], [0, 1]).shape == (2, 0, 0, 0)
    assert set(read_tensors(taken / "shard-0.safetensors")) == {"latent"}
    assert pairs.settings["guidance"] == 2.0 and pairs.settings["family"] == "sd3" and "weights" not in pairs.settings


@pytest.mark.parametrize(
    ("kept", "spoil", "left"),
    [
        (1, lambda parts, file: None, 2),
        (2, lambda parts, file: parts[0].write_bytes(b""), 2),
        (2, lambda parts, file: os.utime(file), 3),
    ],
    ids=["killed", "a damaged part", "another file"],
)
def test_a_killed_encoding_goes_on_to_the_same_bytes(world, source, tmp_path, monkeypatch, written, kept, spoil, left):
    files, _, dataset = source
    pairs, calls, own = read_pairs(files, dataset), [], world.backbone.encode_images

    def encode(out):
        encode_shard(world.backbone, pairs, dataset, Pairs(shards=1, batch=3), 0, out, lambda line: None)
        return [out.with_suffix(suffix).read_bytes() for suffix in (".json", ".safetensors")]

    def mortal(pixels):
        if len(calls) == kept:
            raise KeyboardInterrupt
        return calls.append(1) or own(pixels)

    whole, out = encode(tmp_path / "whole" / "shard.json"), tmp_path / "killed" / "shard.json"
    assert written == [1, 2, 1]  # images in threes
    monkeypatch.setattr(world.backbone, "encode_images", mortal)
    with pytest.raises(KeyboardInterrupt):
        encode(out)
    parts = sorted(out.parent.glob(".shard.work/*.part"))
    assert not out.exists() and len(parts) == kept
    spoil(parts, files[0])
    monkeypatch.setattr(world.backbone, "encode_images", lambda pixels: calls.append(1) or own(pixels))
    assert encode(out) == whole and len(calls) == kept + left
    assert len(list(out.parent.iterdir())) == 2


def test_its_own_preference_says_who_wins(taken):
    labels, pairs = read_table(taken / "labels.parquet"), load_pairs(taken / "manifest.json", taken / "labels.parquet")
    assert labels["winner"].tolist() == [0, 1, 1, 1] and labels["gap"].tolist() == [1.0] * 4
    stored = PairSet.open(taken / "manifest.json")
    assert torch.equal(pairs.x0_w[:], stored.latent(range(4), [0, 1, 1, 1])) and pairs.xT_w.shape == (4, 0, 0, 0)


def test_verify_says_what_it_cannot_prove(taken, tmp_path, capsys):
    manifest = taken / "manifest.json"
    assert verify_pairs(manifest) == []
    cli.main(["verify", str(manifest)])
    assert capsys.readouterr().out.endswith(
        "ok (pairs; images from elsewhere: hashes alone, as they cannot be made again)\n"
    )
    file = taken / "shard-1.safetensors"
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        assert [line for line in verify_pairs(manifest) if line.startswith(f"{file}: its content")]
    finally:
        file.write_bytes(kept)


def test_rewards_score_its_images_each_with_its_prompt(world, taken, rewards, tmp_path):
    shards = shard_manifests(taken / "manifest.json")
    outs = [tmp_path / shard.stem / "manifest.json" for shard in shards]
    for shard, out in zip(shards, outs):
        decode_shard(world.backbone, shard, out, lambda line: None)
    scorer, prompts = load_reward(rewards["clip"]), read_table(taken / "prompts.parquet")
    scores = score_samples(images_of(taken / "manifest.json", outs), prompts, scorer, log=lambda line: None)
    (last,) = world.backbone.decode(PairSet.open(taken / "manifest.json").latent([3], [1]), 3)
    assert scores.shape == (4, 2) and scores[3, 1] == scorer.score([last], ["a ring"])[0]


@pytest.mark.parametrize("path", ["independent", "independent_each", "stored", "shuffled"])
def test_training_refuses_the_paths_that_need_noise(world, taken, path):
    pairs = load_pairs(taken / "manifest.json", taken / "labels.parquet")

    def settings():
        return resolve_settings(backbone=world.backbone, pairs=pairs, run=Run(path=path), seed=0, draw_seed=0)

    if path.startswith("independent"):
        assert settings()["guidance"] == 2.0
        return
    with pytest.raises(UserError, match=rf"path {path}: these images come from elsewhere, without the noise"):
        settings()


def test_it_is_trained_on_with_the_references_errors_made_ahead(world, taken, models, script, tmp_path):
    embeddings = taken / "embeddings" / "manifest.json"
    visit = tmp_path / "visit-0000.json"
    draws = {"path": "independent", "time_sampling": "uniform", "draw_seed": 3}
    pairs = PairSet.open(taken / "manifest.json")
    make_visit(world.backbone, pairs, read_embeddings(embeddings), **draws, visit=0, out=visit, log=lambda line: None)
    number, errors = read_visit(visit, {"path": "independent", "guidance": 2.0})
    assert number == 0 and len(errors) == 8
    run = Run(path="independent", steps=2, batch=2, schedule="constant", lora_rank=2, reward="given", data="mine")
    out = tmp_path / "runs" / "mine-s0" / "manifest.json"
    files = {"pairs": taken / "manifest.json", "labels": taken / "labels.parquet", "embeddings": embeddings}
    options = {**files, "model": models["sd3"].model_dump_json(), "run": run.model_dump_json(), "reference": visit}
    options |= {"seed": 0, "draw-seed": 3, "device": "cpu", "out": out}
    script("train", *(part for name, value in options.items() for part in (f"--{name}", value)))
    assert read_manifest(out)["settings"]["pairs"]["count"] == 4
    assert '"shared_reference_passes": 8' in (out.parent / "compute.json").read_text()


def test_inversion_gives_it_noises(world, source, taken, tmp_path):
    _, _, dataset = source
    embeddings = read_embeddings(taken / "embeddings" / "manifest.json")
    outs = [tmp_path / shard.name for shard in shard_manifests(taken / "manifest.json")]
    for shard, out in zip(shard_manifests(taken / "manifest.json"), outs):
        invert_shard(world.backbone, shard, embeddings, Inversion(steps=3, batch=3), out, lambda line: None)
    collect(outs, dataset, tmp_path / "manifest.json")
    assert verify_pairs(tmp_path / "manifest.json") == []
    pairs = load_pairs(tmp_path / "manifest.json", taken / "labels.parquet")
    assert pairs.xT_w.shape == pairs.x0_w.shape and torch.isfinite(pairs.xT_w[:]).all() and pairs.xT_w[:].std() > 0
    with pytest.raises(UserError, match=r"shard-0\.json: made with guidance 2\.0 instead of 3\.0"):
        collect(outs, dataset.model_copy(update={"guidance": 3.0}), tmp_path / "other.json")


def test_image_files_become_a_data_set_as_the_page_says(source, tmp_path, monkeypatch):
    _, images, _ = source
    for name, image in zip("abcd", images):
        image.save(tmp_path / f"{name}.png")
    (tmp_path / "votes.csv").write_text("prompt,chosen,rejected\na ring,a.png,b.png\na cross,c.png,d.png\n")
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1], {})
    found = read_pairs(["votes.parquet"], Dataset(path="votes.parquet", count=2))
    assert list(found["prompt"]) == ["a ring", "a cross"] and (found["score_0"] > found["score_1"]).all()
    bytes_of = pd.read_parquet("votes.parquet")["rejected"]
    assert np.array_equal(picture(bytes_of[1], images[3].width), np.asarray(images[3]))
