"""The reference's errors: independent of neighbours, the same bits from a file, from the run itself and in each step."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pnapo.artifacts import read_json, read_tensors
from pnapo.config.schema import Pairs
from pnapo.errors import UserError
from pnapo.objectives.paths import PATHS
from pnapo.pairs.embeddings import Embeddings
from pnapo.pairs.generate import pair_settings
from pnapo.pairs.shards import Shard, write_shard
from pnapo.pairs.store import PairSet, collect
from pnapo.training.points import Draws, Samples
from pnapo.training.reference import Reference, make_visit

SETTINGS = {"steps": 6, "batch": 3, "accumulation": 2}  # 36 pairs: 3 visits of 10, and most of a fourth
CACHE = {"path": "stored", "time_sampling": "uniform", "draw_seed": 0}


@pytest.fixture
def visits(tmp_path, backbone_of, pairs, embeddings):
    """Makes the files of visits 0 to 2 from a pair set on disk that holds every second winner as sample 1."""

    def make(name: str = "reference", family: str = "sd3", count: int = 3, dtype=torch.float32, **changes):
        backbone, cond = backbone_of(family, dtype=dtype), changes.pop("embeddings", embeddings)
        order = torch.arange(10) % 2 == 0
        swap = order.view(-1, 1, 1, 1)
        sides = [(pairs.xT_w, pairs.xT_l), (pairs.x0_w, pairs.x0_l)]
        both = [torch.stack([torch.where(swap, win, lose), torch.where(swap, lose, win)], 1) for win, lose in sides]
        settings = pair_settings(backbone, Pairs(shards=1))
        shard = tmp_path / name / "shard-00000-of-00001.json"
        write_shard(shard, Shard(pairs.prompt_ids, *both), settings, seed=0)
        collect([shard], Pairs(shards=1), tmp_path / name / "pairs.json")
        opened = PairSet.open(tmp_path / name / "pairs.json")
        files = [tmp_path / name / f"visit-{visit:04d}.json" for visit in range(count)]
        for visit, out in enumerate(files):
            make_visit(backbone, opened, cond, visit=visit, out=out, log=lambda line: None, **CACHE | changes)
        return files

    return make


def bytes_of(run):
    return [
        (run.folder / name).read_bytes()
        for name in ("train_log.jsonl", "pytorch_lora_weights.safetensors", "manifest.json")
    ]


def cost_of(run):
    return read_json(run.folder / "compute.json")


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_an_error_depends_on_neither_its_neighbours_nor_its_place(family, path, backbone_of, pairs, embeddings):
    reference = Reference(backbone_of(family), Draws(embeddings, path=path, time_sampling="uniform", seed=0), 1.0)
    samples = Samples(
        pairs.prompt_ids * 2, [0] * 10 + [1] * 10, torch.cat([pairs.x0_w] * 2), torch.cat([pairs.xT_w] * 2)
    )

    def errors(order):
        return reference.errors(
            Samples(
                [samples.prompt_ids[i] for i in order],
                [samples.visits[i] for i in order],
                samples.x0[order],
                samples.xT[order],
            )
        )

    whole = errors(list(range(20)))
    assert len(set(whole.tolist())) == 20
    for order in (np.random.default_rng(0).permutation(20).tolist(), [17], [3, 3, 12]):
        assert torch.equal(errors(order), whole[order])


@pytest.mark.parametrize("path", [name for name, path in PATHS.items() if not path.uncached])
def test_a_cacheable_path_gives_a_side_the_same_noise_whatever_the_other_side_is(path):
    xT_w, xT_l, fresh = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.randn(3, PATHS[path].fresh, 4, 2, 2)
    keep = torch.rand(3) if PATHS[path].noise == "truncated" else None
    both = PATHS[path].function(xT_w, xT_l, fresh, keep)
    for noise, own in zip(both, (xT_w, xT_l)):
        assert torch.equal(noise, PATHS[path].function(own, own, fresh, keep)[0])


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_training_is_bit_identical_with_files_without_them_and_computed_in_each_step(family, trained, visits):
    files = visits(family=family)
    runs = [
        trained("files/run", family, reference_files=files, **SETTINGS),
        trained("own/run", family, **SETTINGS),
        trained("steps/run", family, reference="compute", **SETTINGS),
    ]
    assert bytes_of(runs[0]) == bytes_of(runs[1]) == bytes_of(runs[2])
    passes = [(cost_of(run)["reference_passes"], cost_of(run)["shared_reference_passes"]) for run in runs]
    assert passes == [(12, 60), (72, 0), (72, 0)]
    assert {cost_of(run)["forward_passes"] for run in runs} == {72}
    assert any("60 read from 3 files, 12 to be computed" in line for line in runs[0].lines)


def test_files_serve_other_losses_orders_batches_and_labels(trained, visits, pairs):
    files = visits(path="independent")
    swapped = replace(pairs, x0_w=pairs.x0_l, x0_l=pairs.x0_w, xT_w=pairs.xT_l, xT_l=pairs.xT_w)
    kept = [1, 2, 4, 5, 6, 8, 9]  # the others are ties now
    tensors = {name: getattr(swapped, name)[kept] for name in ("x0_w", "x0_l", "xT_w", "xT_l", "gap")}
    relabelled = replace(swapped, prompt_ids=[pairs.prompt_ids[i] for i in kept], **tensors)
    changes = {"path": "independent", "seed": 3, "batch": 7, "steps": 3, "schedule": "constant", "lora_rank": 2}
    cached = trained("a/run", pairs=relabelled, reference_files=files, **changes)
    assert cost_of(cached)["reference_passes"] == 0
    assert bytes_of(cached) == bytes_of(trained("b/run", pairs=relabelled, reference="compute", **changes))


def test_bfloat16_is_the_same_too_on_a_cpu(trained, visits, backbone_of):
    files = visits(dtype=torch.bfloat16)
    run, other = (
        trained(f"{name}/run", backbone=backbone_of(dtype=torch.bfloat16), **options, **SETTINGS)
        for name, options in [("a", {"reference_files": files}), ("b", {"reference": "compute"})]
    )
    assert bytes_of(run) == bytes_of(other)


def test_full_fine_tuning_with_known_errors_keeps_one_model(trained, backbone_of):
    settings = {"adapter": "full", "steps": 3}
    logs = []
    for name, empty in [("cache", True), ("compute", False)]:
        backbone = backbone_of()
        run = trained(f"{name}/run", backbone=backbone, reference=name, **settings)
        logs.append((run.folder / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes())
        assert all(p.is_meta == empty for p in backbone.transformer.parameters())
    assert logs[0] == logs[1]


class Mortal(Embeddings):
    """Embeddings that count their uses, and kill the job at one of them."""

    uses, last = 0, 1000

    def rows(self, prompt_ids, *names):
        self.uses += 1
        if self.uses > self.last:
            raise KeyboardInterrupt
        return super().rows(prompt_ids, *names)


def test_a_killed_job_goes_on_where_it_was(visits, embeddings, pairs):
    (whole,) = visits("a", count=1)
    mortal, again = (Mortal(embeddings._tensors, pairs.prompt_ids, "test") for _ in range(2))
    mortal.last = 2  # one for the samples' keys, two for the forward passes on 20 samples
    with pytest.raises(KeyboardInterrupt):
        visits("b", count=1, embeddings=mortal)
    assert not (whole.parents[1] / "b" / "visit-0000.json").exists()
    (resumed,) = visits("b", count=1, embeddings=again)
    assert again.uses == 2
    for suffix in (".json", ".safetensors"):
        assert resumed.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()
    assert not list(resumed.parent.glob(".*"))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"draw_seed": 1}, "draw_seed 1, but this run has 0"),
        ({"path": "independent"}, "path independent, but this run has stored"),
        ({"time_sampling": "logit_normal"}, "time_sampling logit_normal, but this run has uniform"),
        ({"dtype": torch.bfloat16}, "weights .*, but this run has"),
    ],
)
def test_errors_of_other_draws_or_weights_are_refused(trained, visits, made, message):
    files = visits(**made)
    with pytest.raises(UserError, match=rf"visit-0000\.json: reference errors for {message}"):
        trained(reference_files=files, **SETTINGS)


def test_errors_of_other_pairs_are_refused_and_damaged_ones_named(trained, visits, pairs):
    files = visits()
    with pytest.raises(UserError, match=r"visit-0000\.json: reference errors of other pairs or embeddings"):
        trained(pairs=replace(pairs, xT_l=pairs.xT_l + 1e-6), reference_files=files, **SETTINGS)
    tensors = files[1].with_suffix(".safetensors")
    content = tensors.read_bytes()
    tensors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"visit-0001\.safetensors: its content is not what"):
        trained(reference_files=files, **SETTINGS)


def test_pairs_of_another_model_and_broken_errors_are_refused(tmp_path, visits, pairs, embeddings, backbone_of):
    visits("here", count=0)
    backbone, opened = backbone_of(layers=2), PairSet.open(tmp_path / "here" / "pairs.json")
    with pytest.raises(UserError, match="not the model that made the pairs"):
        make_visit(backbone, opened, embeddings, visit=0, out=tmp_path / "visit-0000.json", **CACHE)
    pairs.x0_w[4] = torch.inf
    with pytest.raises(UserError, match=f"prompt {pairs.prompt_ids[4]}: the reference's error is not finite"):
        visits("broken")


def test_a_path_that_cannot_be_cached_says_why(trained, monkeypatch):
    mixed = PATHS["stored"]._replace(uncached="its noises depend on the policy")
    monkeypatch.setitem(PATHS, "stored", mixed)
    with pytest.raises(UserError, match="path stored: its noises depend on the policy; set `reference: compute`"):
        trained(steps=1)
    trained("steps", steps=1, reference="compute")


def test_the_script_makes_the_same_file(script, tmp_path, visits, embeddings, backbone_of, pairs):
    from pnapo.artifacts import write_json, write_manifest, write_tensors

    (expected,) = visits("here", count=1)
    backbone = backbone_of()
    backbone.transformer.save_pretrained(f"{backbone.path}/transformer")
    write_json(f"{backbone.path}/model_index.json", {"transformer": ["diffusers", "SD3Transformer2DModel"]})
    ids = {"prompt_ids": json.dumps(pairs.prompt_ids)}
    tensors = {**embeddings._tensors, **{f"null_{name}": value[:1] for name, value in embeddings._tensors.items()}}
    write_tensors(tmp_path / "embeddings" / "embeddings.safetensors", tensors, ids)
    write_manifest(tmp_path / "embeddings", "embeddings", {}, ["embeddings.safetensors"])
    model = {"family": "sd3", "path": backbone.path, "resolution": 16, "max_sequence_length": 4}
    options = {
        **{"pairs": tmp_path / "here" / "pairs.json", "embeddings": tmp_path / "embeddings" / "manifest.json"},
        **{"model": json.dumps(model), "path": "stored", "time-sampling": "uniform", "draw-seed": 0, "visit": 0},
        **{"device": "cpu", "out": tmp_path / "made" / "visit-0000.json"},
    }
    script("cache_reference", *(part for name, value in options.items() for part in (f"--{name}", value)))
    assert (tmp_path / "made" / "visit-0000.json").read_bytes() == expected.read_bytes()
    assert read_tensors(expected.with_suffix(".safetensors"))["errors"].shape == (10, 2)
