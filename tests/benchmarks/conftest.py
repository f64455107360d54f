"""A short test set of the embedded world with images of an untrained tiny SD3."""

from types import SimpleNamespace

import pytest

from pnapo.artifacts import write_table
from pnapo.config.schema import TestSet

TestSet.__test__ = False  # not a test, though its name begins like one


@pytest.fixture(scope="session")
def bench(models, tmp_path_factory):
    """Nine GenEval prompts, their embeddings, the backbone and settings."""
    from pnapo.backbones import load_backbone
    from pnapo.pairs.embeddings import read_embeddings, write_embeddings
    from pnapo.world.testsets import write_list

    folder = tmp_path_factory.mktemp("bench")
    testset = write_list("geneval", None)[::16].reset_index(drop=True)
    write_table(folder / "testset.parquet", testset)
    write_embeddings(load_backbone(models["sd3"], {"text"}), folder / "testset.parquet", folder / "manifest.json")
    return SimpleNamespace(
        folder=folder,
        testset=testset,
        embeddings=read_embeddings(folder / "manifest.json"),
        backbone=load_backbone(models["sd3"], {"transformer", "vae"}),
        settings=TestSet(source="geneval", images=2, steps=2, seed=1),
    )
