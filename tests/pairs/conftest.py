"""Images of the pair set, and a copy of it to be damaged."""

import shutil

import pytest


@pytest.fixture(scope="session")
def decoded(world, made, tmp_path_factory):
    """The manifests of the images of the pair set's shards."""
    from pnapo.pairs.images import decode_shard
    from pnapo.pairs.store import shard_manifests

    folder = tmp_path_factory.mktemp("images")
    manifests = [folder / shard.stem / "manifest.json" for shard in shard_manifests(made)]
    for shard, out in zip(shard_manifests(made), manifests):
        decode_shard(world.backbone, shard, out, lambda line: None)
    return manifests


@pytest.fixture
def written(monkeypatch):
    """How many prompts were handed over at once to be written into shards: none is in memory as a whole."""
    from contextlib import contextmanager

    from pnapo.pairs import shards

    sizes, own = [], shards.tensor_writer

    @contextmanager
    def writer(*asked):
        with own(*asked) as put:
            yield lambda name, row, part: [sizes.append(len(part)) if name == "latent" else None, put(name, row, part)]

    monkeypatch.setattr(shards, "tensor_writer", writer)
    return sizes


@pytest.fixture
def manifest(made, tmp_path):
    """The manifest of a copy of the pair set, to be damaged."""
    shutil.copytree(made.parent, tmp_path / "pairs")
    return tmp_path / "pairs" / "manifest.json"
