"""The pair set of rollouts that stop early."""

from itertools import pairwise

import pytest
import torch

from pnapo.config.schema import Truncation
from pnapo.errors import UserError
from pnapo.flow.truncation import stop_time
from pnapo.pairs.sampler import make_scheduler
from pnapo.pairs.shards import open_shard
from pnapo.pairs.store import PairSet, collect, shard_manifests
from pnapo.pairs.truncate import truncate_noises, truncate_shard
from pnapo.pairs.verify import verify_pairs


@pytest.fixture(scope="module")
def truncated(world, made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("truncated")
    outs = [folder / manifest.name for manifest in shard_manifests(made)]
    for shard, out in zip(shard_manifests(made), outs):
        truncate_shard(world.backbone, shard, world.embeddings, Truncation(steps=8, batch=5), 3, out, lambda line: None)
    collect(outs, world.settings, folder / "manifest.json")
    return folder / "manifest.json"


def test_a_rollout_is_eulers_up_to_its_stop_and_one_leap_from_there(world, made, truncated):
    stored, pairs = PairSet.open(made), PairSet.open(truncated)
    assert pairs.settings == {**stored.settings, "truncation": {"steps": 8, "seed": 3}}
    assert verify_pairs(truncated) == []
    grid = make_scheduler(world.backbone, 8).sigmas.tolist()
    for row in (0, 5):
        owner = pairs.prompt_ids[row]
        stop, cond = stop_time(3, owner), world.embeddings.rows([owner])
        x, times = stored.noise([row], [1]), [*(t for t in grid if t > stop), stop]
        with torch.no_grad():
            for t, after in pairwise(times):
                x = x + (after - t) * world.backbone.velocity(x, torch.tensor([t]), cond)
            v = world.backbone.velocity(x, torch.tensor([stop]), cond)
        assert torch.allclose(pairs.latent([row], [1]), x - stop * v, atol=1e-4)
        assert torch.allclose(pairs.noise([row], [1]), x + (1 - stop) * v, atol=1e-4)


def test_before_its_last_step_a_rollout_points_to_the_finished_latent_and_earlier_elsewhere(world, made, monkeypatch):
    shard = open_shard(shard_manifests(made)[0])
    wanted = Truncation(steps=world.settings.steps)
    grid, off = make_scheduler(world.backbone, wanted.steps).sigmas.tolist(), []
    for stop in (grid[-2], 0.99):
        monkeypatch.setattr("pnapo.pairs.truncate.stop_time", lambda seed, owner, stop=stop: stop)
        found, _ = truncate_noises(world.backbone, shard.noise[:, 0], shard.prompt_ids, world.embeddings, wanted, 0)
        off.append((found - shard.latent[:, 0]).abs().max().item())
    assert off[0] < 1e-4 < off[1]


def test_a_rollout_that_is_not_finite_is_refused(world, made, tmp_path, monkeypatch):
    monkeypatch.setattr(world.backbone, "velocity", lambda x, *rest: x * torch.inf)
    with pytest.raises(UserError, match="the rollouts are not finite"):
        truncate_shard(
            world.backbone,
            shard_manifests(made)[0],
            world.embeddings,
            Truncation(steps=2),
            0,
            tmp_path / "out.json",
            lambda line: None,
        )


def test_killed_rollouts_go_on_to_the_same_bytes(world, made, truncated, tmp_path, monkeypatch, written):
    source, whole, done = shard_manifests(made)[0], shard_manifests(truncated)[0], []
    out, wanted = tmp_path / whole.name, Truncation(steps=8, batch=5)

    def mortal(*asked):
        done.append(len(asked[1]))
        if len(done) == 3:
            raise KeyboardInterrupt
        return truncate_noises(*asked)

    monkeypatch.setattr("pnapo.pairs.truncate.truncate_noises", mortal)
    with pytest.raises(KeyboardInterrupt):
        truncate_shard(world.backbone, source, world.embeddings, wanted, 3, out, lambda line: None)
    assert not out.exists()
    truncate_shard(world.backbone, source, world.embeddings, wanted, 3, out, lambda line: None)
    assert done == [5, 5, 2, 2]  # the last batch alone was left
    assert written == [2, 3, 2, 3, 1]  # the first two before they were killed
    for suffix in (".json", ".safetensors"):
        assert out.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()
