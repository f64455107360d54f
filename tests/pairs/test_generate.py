"""A sample is a function of its prompt, key and settings alone, and what the diffusers pipeline itself makes."""

import re

import pytest
import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline

from pnapo.artifacts import prompt_id, read_manifest, read_metadata, read_tensors
from pnapo.backbones import load_backbone
from pnapo.backbones.flux import pack, unpack
from pnapo.errors import UserError
from pnapo.flow.random import prior_noise
from pnapo.pairs.embeddings import Embeddings, read_embeddings, write_embeddings
from pnapo.pairs.generate import generate_shard
from pnapo.pairs.shards import open_shard, slice_of, write_shard

RING = [-0.5783073902130127, -0.7738774418830872, -0.5429865717887878, -0.5120069980621338]


def by_prompt(shards):
    found = {}
    for shard in map(open_shard, shards):
        found |= {p: (shard.noise[row], shard.latent[row]) for row, p in enumerate(shard.prompt_ids)}
    return found


def test_the_noise_of_a_prompt_is_pinned():
    assert prior_noise(0, prompt_id("a photo of a ring"), 0, (4,)).tolist() == RING


def test_samples_are_the_same_for_any_number_of_shards_and_order_of_prompts(world, generate, made, tmp_path):
    expected = by_prompt(sorted((made.parent / "samples").glob("*.json")))
    shuffled = world.prompts.sample(frac=1, random_state=0)
    for name, found in {
        "one shard": by_prompt(generate(tmp_path / "one", shards=1)),
        "shuffled, five uneven shards": by_prompt(generate(tmp_path / "five", shuffled, shards=5)),
    }.items():
        assert found.keys() == expected.keys() == set(world.prompts["prompt_id"]), name
        for key in expected:
            assert torch.equal(found[key][0], expected[key][0]) and torch.equal(found[key][1], expected[key][1]), name
    noise, latent = expected[prompt_id("a photo of a ring")]
    for index in range(2):
        stream = prior_noise(world.settings.seed, prompt_id("a photo of a ring"), index, (12, 8, 8))
        assert torch.equal(noise[index], torch.from_numpy(stream))
    assert len({tuple(latents.flatten()[:4].tolist()) for _, pair in expected.values() for latents in pair}) == 24
    assert not torch.equal(latent[0], latent[1])


@pytest.mark.parametrize(("count", "shards"), [(12, 5), (7, 7), (100, 3)])
def test_shards_divide_the_list(count, shards):
    parts = [slice_of(count, k, shards) for k in range(shards)]
    assert [row for part in parts for row in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


class Killed(Exception):
    pass


@pytest.fixture
def interrupted(world, tmp_path):
    """Generates one shard prompt by prompt, killed at its first line of progress: eight of twelve are done then."""
    out = tmp_path / "interrupted" / "shard.json"
    settings = world.settings.model_copy(update={"shards": 1, "batch": 2})

    def kill(line):
        raise Killed(line)

    with pytest.raises(Killed, match="samples 16/24"):
        generate_shard(world.backbone, world.prompts, world.embeddings, settings, 0, out, kill)
    assert not out.exists()

    def resume(embeddings=world.embeddings, **changes):
        """Generate again to the end; returns the manifest and the number of forward passes it took."""
        passes = []
        hook = world.backbone.transformer.register_forward_hook(lambda *_: passes.append(1))
        again = settings.model_copy(update=changes)
        generate_shard(world.backbone, world.prompts, embeddings, again, 0, out, lambda line: None)
        hook.remove()
        assert [path.name for path in sorted(out.parent.iterdir())] == ["shard.json", "shard.safetensors"]
        return out, len(passes)

    resume.batches = sorted((out.parent / ".shard.work").glob("*.part"))
    assert len(resume.batches) == 8
    return resume


def same_bytes(one, other):
    return all(
        one.with_suffix(kind).read_bytes() == other.with_suffix(kind).read_bytes() for kind in (".json", ".safetensors")
    )


def test_a_killed_job_goes_on_to_the_same_bytes(world, interrupted, tmp_path):
    out, passes = interrupted()
    assert passes == 4 * world.settings.steps  # the four prompts that were left
    whole = tmp_path / "whole" / "shard.json"
    settings = world.settings.model_copy(update={"shards": 1, "batch": 2})
    generate_shard(world.backbone, world.prompts, world.embeddings, settings, 0, whole, lambda line: None)
    assert same_bytes(out, whole)
    assert read_metadata(out.with_suffix(".safetensors"))["seed"] == "0"


def test_finished_batches_of_other_settings_are_not_used(world, interrupted):
    out, passes = interrupted(seed=1)
    assert passes == 12 * world.settings.steps
    first = open_shard(out)
    assert torch.equal(first.noise[0, 1], torch.from_numpy(prior_noise(1, first.prompt_ids[0], 1, (12, 8, 8))))


def test_finished_batches_of_other_weights_or_texts_are_not_used(world, interrupted):
    bias = world.backbone.transformer.proj_out.bias
    before = bias.detach().clone()
    try:
        bias.add_(0.01)
        out, passes = interrupted()
    finally:
        bias.copy_(before)
    assert passes == 12 * world.settings.steps
    other = read_manifest(out)["settings"]["weights"]
    tensors = read_tensors(world.folder / "embeddings.safetensors")
    texts = Embeddings(
        {**tensors, "null_pooled": tensors["null_pooled"] + 1}, list(world.prompts["prompt_id"]), "other"
    )
    out, passes = interrupted(texts)
    assert passes == 12 * world.settings.steps
    assert read_manifest(out)["settings"]["weights"] != other


def test_a_damaged_batch_is_made_again(world, interrupted):
    interrupted.batches[3].write_bytes(interrupted.batches[3].read_bytes()[:-1])
    interrupted.batches[5].write_bytes(b"")
    _, passes = interrupted()
    assert passes == (4 + 2) * world.settings.steps


@pytest.mark.parametrize(("samples", "batch", "passes"), [(3, 5, 8), (2, 1, 24), (2, 64, 1)])
def test_every_forward_pass_has_the_same_batch(world, tmp_path, samples, batch, passes):
    """Also where prompts do not fit into it, so that no sample depends on where its prompt stands."""
    sizes = []
    hook = world.backbone.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    settings = world.settings.model_copy(update={"samples": samples, "batch": batch, "shards": 1, "steps": 1})
    generate_shard(world.backbone, world.prompts, world.embeddings, settings, 0, tmp_path / "a.json", lambda line: None)
    hook.remove()
    assert sizes == [batch] * passes
    last = world.prompts[-1:]
    generate_shard(world.backbone, last, world.embeddings, settings, 0, tmp_path / "b.json", lambda line: None)
    alone, whole = open_shard(tmp_path / "b.json"), open_shard(tmp_path / "a.json")
    assert torch.equal(alone.latent[0], whole.latent[11]) and torch.equal(alone.noise[0], whole.noise[11])


def test_a_shard_written_part_by_part_is_the_file_of_one_written_whole(made, tmp_path):
    path = sorted((made.parent / "samples").glob("*.json"))[1]
    content = read_manifest(path)
    write_shard(tmp_path / path.name, open_shard(path), content["settings"], seed=0, part=content["part"])
    for suffix in (".json", ".safetensors"):
        assert (tmp_path / path.name).with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()


def test_progress_says_what_is_left(world, tmp_path):
    lines = []
    settings = world.settings.model_copy(update={"batch": 1, "steps": 1})
    generate_shard(world.backbone, world.prompts, world.embeddings, settings, 1, tmp_path / "a.json", lines.append)
    assert [line.rpartition(",")[0] for line in lines] == ["shard 2/2: samples 8/12", "shard 2/2: samples 12/12"]
    assert re.fullmatch(r"\d+ s left", lines[0].rpartition(", ")[2]) and lines[1].endswith(", 0 s left")


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_latents_equal_the_pipelines_own_for_the_stored_noise(models, world, family, tmp_path):
    backbone = load_backbone(models[family], {"transformer", "text"})
    write_embeddings(backbone, world.table, tmp_path / "manifest.json")
    embeddings = read_embeddings(tmp_path / "manifest.json")
    settings = world.settings.model_copy(update={"shards": 6})
    generate_shard(backbone, world.prompts, embeddings, settings, 1, tmp_path / "shard.json", lambda line: None)
    shard = open_shard(tmp_path / "shard.json")
    kind = {"sd3": StableDiffusion3Pipeline, "flux": FluxPipeline}[family]
    pipeline = kind.from_pretrained(models[family].path, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    noise = shard.noise.flatten(0, 1)
    official = pipeline(
        prompt=list(world.prompts["prompt"][2:4].repeat(2)),
        num_inference_steps=settings.steps,
        guidance_scale=1.0,
        latents=pack(noise) if family == "flux" else noise,
        height=32,
        width=32,
        max_sequence_length=20,
        output_type="latent",
    ).images
    official = unpack(official, 8, 8) if family == "flux" else official
    assert torch.allclose(official, shard.latent.flatten(0, 1), atol=1e-5, rtol=0)
    assert not torch.allclose(official, noise, atol=0.1)


def test_a_shard_that_cannot_be_made_is_not_written(world, models, tmp_path):
    out = tmp_path / "shard.json"
    with pytest.raises(UserError, match="shard 13 of 13 would hold none of 12 prompts"):
        settings = world.settings.model_copy(update={"shards": 13})
        generate_shard(world.backbone, world.prompts, world.embeddings, settings, 12, out)
    for number in (-1, 2):
        with pytest.raises(UserError, match=f"shard {number + 1} of 2 would hold none"):
            generate_shard(world.backbone, world.prompts, world.embeddings, world.settings, number, out)
    broken = load_backbone(models["sd3"])
    broken.transformer.proj_out.bias.fill_(torch.nan)
    with pytest.raises(UserError, match=f"not finite for prompts {prompt_id('a photo of a ring')}"):
        generate_shard(broken, world.prompts, world.embeddings, world.settings, 0, out)
    assert not list(tmp_path.glob("shard.*"))
