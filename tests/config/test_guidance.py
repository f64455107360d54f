"""Guidance of pairs, training and test images: what differs is refused, or stated."""

import pytest

from pnapo.config import sampling_of, validate
from pnapo.errors import UserError


@pytest.fixture
def flux(raw):
    raw["backbones"], raw["pairs"]["guidance"] = ["flux"], 3.5
    return raw


def refused(raw) -> str:
    with pytest.raises(UserError) as found:
        validate(raw)
    assert str(found.value).isprintable()
    return str(found.value)


def test_images_of_flux_are_asked_for_with_the_guidance_it_is_trained_with(flux):
    said = refused(flux)
    assert (
        "testsets.heldout.guidance: 1, but flux, which embeds it, is trained by sft with that of its pairs, 3.5" in said
    )
    assert said.endswith("or say that it is meant with models.flux.mixed_guidance: true")
    flux["models"]["flux"]["tests"] = {"guidance": 3.5}
    assert sampling_of(validate(flux), "flux", "heldout").guidance == 3.5
    flux["runs"]["elsewhere"] = {"data": "mine", "path": "independent", "reward": "given"}
    flux["datasets"] = {"mine": {"path": "mine.parquet", "count": 9}}
    assert "is trained by elsewhere with that of datasets.mine, 1;" in refused(flux)


def test_the_validation_set_of_tuning_counts_too(flux):
    for name in ("heldout", "freeform", "geneval"):
        flux["testsets"][name]["guidance"] = 3.5
    validate(flux)
    flux["testsets"]["validation"] = {"source": "validation"}
    flux["tuning"] = {}
    assert "testsets.validation.guidance: 1, but flux" in refused(flux)


def test_sd3_follows_stored_noise_of_pairs_without_guidance_alone(raw):
    raw["pairs"]["guidance"] = 4.5
    assert "runs.pnapo.path: stored follows the noise of the pairs, but sd3 makes these with guidance 4.5" in refused(
        raw
    )
    del raw["runs"]["pnapo"]
    validate(raw)  # Diffusion-DPO takes the images alone


def test_sd3_may_be_tested_with_any(raw):
    raw["testsets"]["guided"] = {"source": "heldout", "guidance": 4.5}
    raw["metrics"]["hps"]["testsets"].append("guided")
    validate(raw)


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_what_is_meant_can_be_said(raw, name):
    raw["backbones"], raw["models"][name]["pairs"] = [name], {"guidance": 2}
    refused(raw)
    raw["models"][name]["mixed_guidance"] = True
    validate(raw)


def test_a_model_has_its_own_way_of_testing(raw):
    raw["models"]["flux"]["tests"] = {"steps": 7, "batch": 2}
    config = validate(raw)
    assert sampling_of(config, "flux", "heldout") == config.testsets["heldout"].model_copy(
        update={"steps": 7, "batch": 2}
    )
    assert sampling_of(config, "sd3", "heldout") == config.testsets["heldout"]
