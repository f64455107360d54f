"""The pair set: what is stored is what is read, and nothing damaged or foreign gets in."""

import pytest
import torch

from pnapo.artifacts import manifest as hashes
from pnapo.artifacts import read_manifest, sha256, write_json, write_table
from pnapo.errors import UserError
from pnapo.pairs.labels import label
from pnapo.pairs.preferences import load_pairs
from pnapo.pairs.shards import Shard, open_shard, write_shard
from pnapo.pairs.store import PairSet, collect, shard_manifests
from pnapo.pairs.verify import verify_pairs

DAMAGES = {
    "a flipped bit": lambda file: file.write_bytes(file.read_bytes()[:-9] + b"\x40" + file.read_bytes()[-8:]),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-500]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
}


def test_a_pair_set_holds_its_shards_in_order(world, made):
    pairs = PairSet.open(made)
    assert pairs.prompt_ids == list(world.prompts["prompt_id"])
    noise, latent = pairs.noise(range(12)), pairs.latent(range(12))
    assert noise.shape == latent.shape == (12, 2, *pairs.latent_shape) and pairs.latent_shape == (12, 8, 8)
    assert noise.dtype == latent.dtype == torch.float32 and (len(pairs), pairs.samples) == (12, 2)
    assert pairs.settings["steps"] == 2 and pairs.settings["family"] == "sd3"
    second = open_shard(made.parent / "samples" / "shard-00001-of-00002.json")
    assert second.prompt_ids == pairs.prompt_ids[6:]
    assert torch.equal(latent[6:], second.latent) and torch.equal(noise[6:], second.noise)
    assert torch.equal(pairs.latent([7, 2, 7], [1, 0, 0]), latent[[7, 2, 7], [1, 0, 0]])
    assert torch.equal(pairs.noise([11, 0]), noise[[11, 0]])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["shard-00001-of-00002.safetensors", "shard-00000-of-00002.json"])
def test_every_reader_names_a_damaged_file(world, manifest, damage, name, tmp_path):
    write_table(tmp_path / "labels.parquet", label(list(world.prompts["prompt_id"]), torch.rand(12, 2).numpy()))
    DAMAGES[damage](manifest.parent / "samples" / name)
    for read in (
        lambda: PairSet.open(manifest).latent([0, 11], [0, 1]),
        lambda: load_pairs(manifest, tmp_path / "labels.parquet").x0_w[list(range(12))],
    ):
        with pytest.raises(UserError, match=name) as error:
            read()
        assert "\n" not in str(error.value)


def test_tensors_are_checked_when_they_are_first_read_and_once(manifest, monkeypatch):
    second, hashed = manifest.parent / "samples" / "shard-00001-of-00002.safetensors", []
    DAMAGES["a flipped bit"](second)
    monkeypatch.setattr(hashes, "sha256_once", lambda file: hashed.append(file.name) or sha256(file))
    pairs = PairSet.open(manifest)
    assert [name for name in hashed if name.endswith(".safetensors")] == []
    for _ in range(2):
        assert len(pairs.noise([0, 5])) == 2
    assert hashed[2:] == ["shard-00000-of-00002.safetensors"]
    for _ in range(2):
        with pytest.raises(UserError) as error:
            pairs.shuffled(0).latent([0, 6])
        shard = second.with_suffix(".json")
        assert str(error.value).endswith(f"records; delete {shard} and {manifest} and run again")


def test_a_damaged_shard_is_not_collected(world, manifest):
    shards = shard_manifests(manifest)
    DAMAGES["a flipped bit"](shards[0].with_suffix(".safetensors"))
    before = manifest.read_bytes()
    with pytest.raises(
        UserError, match=rf"00000-of-00002\.safetensors: its content.*; delete {shards[0]} and run again"
    ):
        collect(shards, world.settings, manifest)
    assert manifest.read_bytes() == before


def test_a_shard_is_checked_when_it_is_opened(manifest):
    one, two = (manifest.parent / "samples" / f"shard-0000{k}-of-00002.safetensors" for k in (0, 1))
    DAMAGES["a flipped bit"](one)
    DAMAGES["truncated"](two)
    for file in (one, two):
        with pytest.raises(UserError, match=file.name):
            open_shard(file.with_suffix(".json"))


def test_a_shard_with_the_tensors_of_another_is_refused(manifest):
    one, two = (manifest.parent / "samples" / f"shard-0000{k}-of-00002.safetensors" for k in (0, 1))
    two.write_bytes(one.read_bytes())
    open_shard(one.with_suffix(".json"))
    for check in (True, False):  # the hash shows it, and the prompts do, too
        with pytest.raises(UserError, match=two.name):
            open_shard(two.with_suffix(".json"), check=check)


@pytest.mark.parametrize(("key", "value"), [("seed", 5), ("steps", 3), ("batch", 2), ("guidance", 2.0)])
def test_shards_of_other_settings_are_not_collected(world, made, generate, tmp_path, key, value):
    """One shard is left from a run with another setting; then the configuration asks for other settings than both."""
    first = made.parent / "samples" / "shard-00000-of-00002.json"
    other = generate(tmp_path / "other", world.prompts[6:8], shards=1, **{key: value})[0]
    with pytest.raises(UserError, match=rf"other/.*made with {key} {value} instead of") as error:
        collect([first, other], world.settings, tmp_path / "manifest.json")
    assert str(other) in str(error.value)
    with pytest.raises(UserError, match=rf"shard-00000-of-00002\.json: made with {key} .* instead of {value}"):
        collect([first], world.settings.model_copy(update={key: value}), tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()


def test_a_prompt_may_not_stand_twice(world, made, tmp_path):
    first, second = sorted((made.parent / "samples").glob("*.json"))
    with pytest.raises(UserError, match=r"00000-of-00002\.json: prompt [0-9a-f]{16} is in the pair set twice"):
        collect([first, second, first], world.settings, tmp_path / "manifest.json")
    shard = open_shard(first)
    doubled = Shard([shard.prompt_ids[0]] * 2, shard.noise[:1].repeat(2, *[1] * 4), shard.latent[:2])
    write_shard(tmp_path / "double.json", doubled, read_manifest(first)["settings"], 0)
    with pytest.raises(UserError, match=rf"double\.json: prompt {shard.prompt_ids[0]} is in the pair set twice"):
        collect([tmp_path / "double.json"], world.settings, tmp_path / "manifest.json")


def test_a_missing_misplaced_or_foreign_shard_is_named(world, made, generate, tmp_path):
    first, second, third = generate(tmp_path / "three", shards=3)
    other = generate(tmp_path / "other", world.prompts[::-1], shards=3)[1]
    for shards, message in {
        (first, third): r"00002-of-00003\.json: begins with prompt 9 of 12, but prompt 5 comes next",
        (second, first, third): r"00001-of-00003\.json: begins with prompt 5 of 12, but prompt 1 comes next",
        (first, second): r"00001-of-00003\.json: ends with prompt 8 of 12; the shards after it are missing",
        (other, third): r"other/shard-00001-of-00003\.json: begins with prompt 5",
        (first, other): r"other/shard-00001-of-00003\.json: made for another prompt list than .*00000-of-00003\.json",
    }.items():
        with pytest.raises(UserError, match=message):
            collect(shards, world.settings, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()


def test_shards_are_read_in_the_order_they_were_collected(world, generate, tmp_path):
    """Not in that of their names, which a user may have changed."""
    shards = generate(tmp_path / "samples", shards=2)
    for path, name in zip(shards, ("b", "a")):
        content = read_manifest(path)
        content["files"] = {f"{name}.safetensors": next(iter(content["files"].values()))}
        path.with_suffix(".safetensors").rename(path.with_name(f"{name}.safetensors"))
        write_json(path.with_name(f"{name}.json"), content)
    collect([tmp_path / "samples" / f"{name}.json" for name in "ba"], world.settings, tmp_path / "manifest.json")
    pairs = PairSet.open(tmp_path / "manifest.json")
    assert pairs.prompt_ids == list(world.prompts["prompt_id"])
    assert verify_pairs(tmp_path / "manifest.json") == []


def test_a_manifest_without_its_shards_or_tensors_is_refused(world, manifest):
    content = read_manifest(manifest)
    write_json(manifest, {key: value for key, value in content.items() if key != "shards"})
    with pytest.raises(UserError, match=r"manifest\.json: not the manifest of a pair set"):
        PairSet.open(manifest)
    write_json(manifest, content | {"latent_shape": [12, 4, 4]})
    with pytest.raises(UserError, match=r"samples of shape \[2, 12, 8, 8\] instead of \[2, 12, 4, 4\]"):
        PairSet.open(manifest)
    shard = manifest.parent / "samples" / "shard-00000-of-00002.json"
    half = open_shard(shard)
    write_shard(shard, Shard(half.prompt_ids, half.noise.half(), half.latent.half()), content["settings"], 0)
    with pytest.raises(UserError, match=r"00000-of-00002\.safetensors: its tensors are not float32"):
        open_shard(shard)
    write_shard(shard, Shard(half.prompt_ids, half.noise, half.latent[1:].clone()), content["settings"], 0)
    with pytest.raises(UserError, match=r"00000-of-00002\.safetensors: does not hold one noise and one latent"):
        open_shard(shard)


def test_a_shard_of_another_model_is_named(world, made, tmp_path):
    first, second = sorted((made.parent / "samples").glob("*.json"))
    settings = read_manifest(second)["settings"] | {"model": "elsewhere", "scheduler": "new"}
    write_shard(tmp_path / "foreign.json", open_shard(second), settings, 0)
    with pytest.raises(UserError, match=r"foreign\.json: made with model elsewhere instead of"):
        collect([first, tmp_path / "foreign.json"], world.settings, tmp_path / "manifest.json")
    write_shard(
        tmp_path / "newer.json", open_shard(second), read_manifest(second)["settings"] | {"scheduler": "new"}, 0
    )
    with pytest.raises(UserError, match=r"newer\.json: made with scheduler new instead of None"):
        collect([first, tmp_path / "newer.json"], world.settings, tmp_path / "manifest.json")
