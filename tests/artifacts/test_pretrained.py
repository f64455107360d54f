"""What others know a model as that was fetched, in the cards of what is made with it."""

import pytest

from pnapo.artifacts import write_manifest
from pnapo.artifacts.pretrained import published
from pnapo.pairs.hub_card import _origin
from pnapo.training.model_card import _front_matter, _usage

COMMIT = "0123456789" * 4


@pytest.fixture
def fetched(tmp_path):
    """A model folder with the record of its download."""
    recorded = {"repo": "me/model", "kind": "model", "revision": "main", "files": [], "commit": COMMIT}
    write_manifest(tmp_path / "fetched.json", "download", recorded, [])
    return str(tmp_path)


def test_a_fetched_model_is_its_repository(fetched, tmp_path):
    assert published(fetched) == ("me/model", COMMIT)
    (tmp_path / "fetched.json").write_text("{")
    assert published(fetched) == (fetched, "")
    assert published("no/such/folder") == ("no/such/folder", "")
    assert published("m" * 300) == ("m" * 300, "")  # another's name, which no path can be


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_checkpoints_card_loads_it_from_there(fetched, adapter):
    settings = {"base_model": fetched, "family": "flux", "run": {"adapter": adapter, "loss": "dpo"}}
    assert _front_matter(settings)["base_model"] == "me/model"
    used = _usage(settings, "transformer/" if adapter == "full" else "x.safetensors")
    assert f'FluxPipeline.from_pretrained("me/model", revision="{COMMIT}", ' in used and fetched not in used


def test_a_pair_sets_card_names_it(fetched):
    made = {"model": fetched, "family": "flux", "samples": 2, "steps": 1, "guidance": 1.0}
    for settings in (made, made | {"dataset": "mine"}):
        assert f"`me/model` at commit `{COMMIT}`" in _origin(settings, 3)
