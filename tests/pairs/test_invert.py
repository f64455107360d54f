"""Pair sets with other noises than those that made the images: inverted ones, and those of other prompts."""

from types import SimpleNamespace

import pytest
import torch

from pnapo.artifacts import write_table
from pnapo.config.schema import Inversion
from pnapo.errors import UserError
from pnapo.pairs.invert import invert_latents, invert_shard
from pnapo.pairs.labels import label
from pnapo.pairs.preferences import load_pairs
from pnapo.pairs.sampler import sample
from pnapo.pairs.shards import open_shard
from pnapo.pairs.store import PairSet, collect, shard_manifests
from pnapo.pairs.verify import verify_pairs


@pytest.fixture(scope="module")
def inverted(world, made, tmp_path_factory):
    """The manifest of the pair set with inverted noises."""
    folder = tmp_path_factory.mktemp("inverted")
    outs = [folder / manifest.name for manifest in shard_manifests(made)]
    for shard, out in zip(shard_manifests(made), outs):
        invert_shard(world.backbone, shard, world.embeddings, Inversion(steps=8, batch=5), out, lambda line: None)
    collect(outs, world.settings, folder / "manifest.json")
    return folder / "manifest.json"


def test_inversion_leads_back_to_the_noise_and_sampling_from_it_to_the_latent(world, made):
    shard = open_shard(shard_manifests(made)[0])
    latents, noise = shard.latent[:2].flatten(0, 1), shard.noise[:2].flatten(0, 1)
    owners = [shard.prompt_ids[0]] * 2 + [shard.prompt_ids[1]] * 2
    off = []
    for steps in (2, 16):
        found = invert_latents(world.backbone, latents, owners, world.embeddings, Inversion(steps=steps))
        again = sample(world.backbone, found, world.embeddings.rows(owners), steps=steps)
        off.append((again - latents).square().mean().sqrt().item())
        assert (found - noise).square().mean() < 0.2 * (latents - noise).square().mean()
    assert off[1] < off[0] / 2


def test_an_inverted_pair_set_has_the_same_latents_and_labels_fit(world, made, inverted, tmp_path):
    stored, pairs = PairSet.open(made), PairSet.open(inverted)
    assert torch.equal(stored.latent(range(12)), pairs.latent(range(12)))
    assert not torch.equal(stored.noise(range(12)), pairs.noise(range(12)))
    assert pairs.settings == {**stored.settings, "inversion": {"steps": 8, "renoise": False}}
    assert verify_pairs(inverted) == []
    write_table(tmp_path / "labels.parquet", label(pairs.prompt_ids, torch.rand(12, 2).numpy()))
    assert torch.equal(
        load_pairs(inverted, tmp_path / "labels.parquet").x0_w[:], load_pairs(made, tmp_path / "labels.parquet").x0_w[:]
    )


def test_shuffled_noises_are_those_of_another_prompt_each_once(world, made, tmp_path):
    pairs = PairSet.open(made)
    noise = pairs.noise(range(12))
    orders = []
    for seed in (0, 0, 1):
        shuffled = pairs.shuffled(seed).noise(range(12))
        owner = [next(k for k in range(12) if torch.equal(noise[k], row)) for row in shuffled]
        assert sorted(owner) == list(range(12)) and all(k != row for row, k in enumerate(owner))
        orders.append(owner)
    assert orders[0] == orders[1] != orders[2]
    assert torch.equal(pairs.shuffled(0).latent(range(12)), pairs.latent(range(12)))
    assert torch.equal(pairs.shuffled(0).noise([3, 5], [1, 0]), noise[[orders[0][3], orders[0][5]], [1, 0]])
    scores = torch.rand(12, 2, generator=torch.Generator().manual_seed(0))
    write_table(tmp_path / "labels.parquet", label(pairs.prompt_ids, scores.numpy()))
    found = load_pairs(made, tmp_path / "labels.parquet", shuffle=0)
    assert torch.equal(found.xT_w[4], noise[orders[0][4], int(scores[4].argmax())])


def test_one_prompt_has_no_other_prompts_noise(world, generate, tmp_path):
    shards = generate(tmp_path, prompts=world.prompts.head(1), shards=1)
    collect(shards, world.settings.model_copy(update={"shards": 1}), tmp_path / "manifest.json")
    with pytest.raises(UserError, match="one prompt has no other prompt's noise"):
        PairSet.open(tmp_path / "manifest.json").shuffled(0)


def test_inversion_is_at_the_guidance_of_the_pairs(world, made, tmp_path, monkeypatch):
    """A model that embeds its guidance must be asked with that of the pair set, as training does."""
    from pnapo.artifacts import read_manifest, write_record

    source = shard_manifests(made)[0]
    shard = tmp_path / source.name
    shard.with_suffix(".safetensors").symlink_to(source.with_suffix(".safetensors"))
    manifest = read_manifest(source)
    write_record(shard, {**manifest, "settings": {**manifest["settings"], "guidance": 3.5}})
    asked, own = set(), world.backbone.velocity

    def velocity(x, t, cond, guidance=1.0, transformer=None):
        asked.add(guidance)
        return own(x, t, cond, guidance, transformer)

    monkeypatch.setattr(world.backbone, "velocity", velocity)
    invert_shard(world.backbone, shard, world.embeddings, Inversion(steps=2), tmp_path / "out.json", lambda line: None)
    assert asked == {3.5}


def test_a_killed_inversion_goes_on_to_the_same_bytes(world, made, inverted, tmp_path, written):
    source, lines, passes = shard_manifests(made)[0], [], []
    whole = shard_manifests(inverted)[0]
    out = tmp_path / whole.name
    settings, own = Inversion(steps=8, batch=5), world.embeddings.rows

    def mortal(*asked):
        passes.append(asked)
        if len(passes) == 4:  # one for the fingerprint, one for each batch
            raise KeyboardInterrupt
        return own(*asked)

    mortal_embeddings = SimpleNamespace(rows=mortal)
    with pytest.raises(KeyboardInterrupt):
        invert_shard(world.backbone, source, mortal_embeddings, settings, out, lines.append)
    assert not out.exists() and len(list(tmp_path.glob(".*.work/*.part"))) == 2
    invert_shard(world.backbone, source, mortal_embeddings, settings, out, lines.append)
    assert len(passes) == 4 + 1 + 1  # of three batches, two were there
    assert written == [2, 3, 2, 3, 1]  # the first two before it was killed
    for suffix in (".json", ".safetensors"):
        assert out.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, out.with_suffix(".safetensors").name]
