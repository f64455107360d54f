"""Images of a test set: a function of prompt, sample number and seed, and what the pipeline itself makes."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline

from pnapo.artifacts import read_manifest
from pnapo.artifacts.images import Images
from pnapo.benchmarks.generation import generate_images
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise


def generate(bench, out, testset=None, backbone=None, **changes):
    settings = bench.settings.model_copy(update=changes)
    testset = bench.testset if testset is None else testset
    generate_images(backbone or bench.backbone, testset, bench.embeddings, settings, out, lambda line: None)
    images = Images(out)
    return dict(zip(zip(images.table["prompt_id"], images.table["sample"]), images))


def test_images_do_not_depend_on_the_rest_of_the_list(bench, tmp_path):
    whole = generate(bench, tmp_path / "whole" / "manifest.json")
    assert list(whole) == [(p, k) for p in bench.testset["prompt_id"] for k in range(2)]
    shuffled = generate(bench, tmp_path / "part" / "manifest.json", bench.testset[::-1][:3], images=3)
    common = [key for key in shuffled if key in whole]
    assert len(common) == 6 and len(shuffled) == 9
    assert all(np.array_equal(whole[key], shuffled[key]) for key in common)
    assert len({image.tobytes() for image in [*whole.values(), *shuffled.values()]}) == 18 + 3


def test_the_images_are_the_pipelines_own_for_the_same_noise(bench, models, tmp_path):
    found = generate(bench, tmp_path / "manifest.json", bench.testset[:2], seed=5)
    noise = np.stack([prior_noise(5, p, k, (12, 8, 8)) for p in bench.testset["prompt_id"][:2] for k in range(2)])
    pipeline = StableDiffusion3Pipeline.from_pretrained(models["sd3"].path, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(
        prompt=list(bench.testset["prompt"][:2].repeat(2)),
        num_inference_steps=2,
        guidance_scale=1.0,
        latents=torch.from_numpy(noise),
        height=32,
        width=32,
        max_sequence_length=20,
        output_type="np",
    ).images
    difference = np.abs(np.stack(list(found.values())) / 255 - official)
    assert difference.max() < 0.51 / 255 and np.ptp(official) > 0.1


def test_guidance_steps_and_policy_change_the_images_but_not_the_noise(bench, models, tmp_path):
    from pnapo.backbones import load_backbone

    base = generate(bench, tmp_path / "base" / "manifest.json", bench.testset[:2])
    policy = load_backbone(models["sd3"], {"transformer", "vae"})
    with torch.no_grad():
        policy.transformer.proj_out.weight.mul_(1.05)
    for name, changes in {"guided": {"guidance": 4.0}, "steps": {"steps": 3}, "policy": {"backbone": policy}}.items():
        other = generate(bench, tmp_path / name / "manifest.json", bench.testset[:2], **changes)
        distance = [np.abs(base[key].astype(int) - other[key]).mean() for key in base]
        assert min(distance) > 0, name
    near = generate(bench, tmp_path / "near" / "manifest.json", bench.testset[:2], backbone=policy)
    nearest = [min(base, key=lambda key, image=near[own]: np.abs(base[key].astype(int) - image).sum()) for own in near]
    assert nearest == list(near)


def test_as_many_at_once_as_the_test_set_says(bench, tmp_path, monkeypatch):
    sizes, own = [], bench.backbone._decode_batch
    monkeypatch.setattr(bench.backbone, "_decode_batch", lambda latents: sizes.append(len(latents)) or own(latents))
    few = generate(bench, tmp_path / "few" / "manifest.json", bench.testset[:3], batch=4)
    assert sizes == [4, 4]  # six images; the last batch is filled up
    usual = generate(bench, tmp_path / "usual" / "manifest.json", bench.testset[:3])
    assert all(np.abs(few[key].astype(int) - usual[key]).max() <= 1 for key in usual)


def test_latents_that_are_not_finite_never_become_images(bench, models, tmp_path):
    from pnapo.backbones import load_backbone

    diverged = load_backbone(models["sd3"], {"transformer", "vae"})
    with torch.no_grad():
        diverged.transformer.proj_out.weight[0, 0] = torch.nan
    out = tmp_path / "manifest.json"
    with pytest.raises(UserError, match=f"latents of prompt {bench.testset['prompt_id'][0]} are not finite") as error:
        generate(bench, out, bench.testset[:2], backbone=diverged)
    assert str(out) in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_second_run_makes_the_same_files_but_for_the_clock(bench, tmp_path):
    for name in ("one", "two"):
        generate(bench, tmp_path / name / "manifest.json", bench.testset[:2])
    for name in ("manifest.json", "images.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    manifest = read_manifest(tmp_path / "one" / "manifest.json", "images")
    assert list(manifest["files"]) == ["images.parquet"] and manifest["count"] == 4
    settings = {"images": 2, "steps": 2, "guidance": 1.0, "seed": 1, "batch": 16, "family": "sd3", "resolution": 32}
    assert manifest["settings"] == settings | {"model": bench.backbone.path}


def test_a_negative_model_steers_the_unconditional_branch_alone(bench, models, tmp_path):
    import copy

    from pnapo.backbones import load_backbone

    backbone, few = load_backbone(models["sd3"], {"transformer", "vae"}), bench.testset[:3]

    def images(name, **changes):
        found = generate(bench, tmp_path / name / "manifest.json", few, backbone, **changes)
        return np.stack(list(found.values())).astype(int)

    off, guided = images("off"), images("guided", guidance=3.0)
    backbone.negative = copy.deepcopy(backbone.transformer)
    assert np.abs(images("same", guidance=3.0) - guided).max() <= 1  # in two forward passes instead of one
    with torch.no_grad():
        for parameter in backbone.negative.parameters():
            parameter.mul_(0.5)
    assert (images("none") == off).all() and np.abs(images("other", guidance=3.0) - guided).max() > 5


def test_a_killed_job_goes_on_to_the_same_bytes_and_other_weights_start_anew(bench, models, tmp_path, monkeypatch):
    import pnapo.benchmarks.generation as module
    from pnapo.backbones import load_backbone

    generate(bench, tmp_path / "whole" / "manifest.json", batch=4)
    own, asked = module.sample, []

    def mortal(backbone, noise, *rest, **options):
        asked.append(len(noise))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return own(backbone, noise, *rest, **options)

    monkeypatch.setattr(module, "sample", mortal)
    killed = tmp_path / "killed" / "manifest.json"
    with pytest.raises(KeyboardInterrupt):  # two parts are kept then; the third is being encoded
        generate(bench, killed, batch=4)
    shutil.copytree(killed.parent, tmp_path / "other")
    generate(bench, killed, batch=4)
    assert asked == [4, 4, 4, 4, 4, 4, 2]
    for name in ("manifest.json", "images.parquet"):
        assert killed.with_name(name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in killed.parent.iterdir()) == ["images.parquet", "manifest.json"]

    policy = load_backbone(models["sd3"], {"transformer", "vae"})
    with torch.no_grad():
        policy.transformer.proj_out.weight.mul_(1.05)
    generate(bench, tmp_path / "other" / "manifest.json", backbone=policy, batch=4)
    assert len(asked) == 7 + 5
