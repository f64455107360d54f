import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pnapo.artifacts import read_record, write_manifest, write_table
from pnapo.backbones import load_backbone
from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.lab.gradients import gradient_products, left_out, signal_to_noise
from pnapo.objectives.errors import mean_square
from pnapo.pairs.labels import label
from pnapo.pairs.preferences import load_pairs
from pnapo.pairs.store import PairSet
from pnapo.training.adapters import ADAPTERS
from pnapo.training.batches import Batches
from pnapo.training.points import residuals_at
from pnapo.training.settings import resolve_settings


@pytest.fixture(scope="module")
def labels(made, tmp_path_factory):
    """Labels of the small pair set, as if a reward had scored it."""
    ids, file = PairSet.open(made).prompt_ids, tmp_path_factory.mktemp("labels") / "hps.parquet"
    write_table(file, label(ids, np.random.default_rng(0).random((len(ids), 2))))
    return file


@pytest.fixture(scope="module")
def pairs(made, labels):
    return load_pairs(made, labels)


@pytest.fixture
def checkpoint(world, pairs, tmp_path):
    """checkpoint(run, distance) saves a policy whose weights are that far from its start, and returns its manifest."""

    def make(run: Run, distance: float = 0.0) -> Path:
        policy = ADAPTERS[run.adapter](world.backbone, run, seed=0)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for weight in policy.trainable.values():
                weight += distance * torch.randn(weight.shape, generator=generator)
        folder = tmp_path / f"{run.adapter}-{run.loss}"
        folder.mkdir()
        policy.save(folder)
        policy.close()
        settings = resolve_settings(backbone=world.backbone, pairs=pairs, run=run, seed=0, draw_seed=0)
        files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
        return write_manifest(folder, "checkpoint", settings, files)

    return make


def products(world, pairs, checkpoint=None, path="stored", step=None):
    return gradient_products(
        world.backbone,
        pairs,
        world.embeddings,
        path=path,
        count=4,
        seed=0,
        checkpoint=checkpoint,
        step=step,
        log=lambda line: None,
    )


@pytest.mark.parametrize("path", ["stored", "independent"])
def test_a_checkpoint_that_has_not_moved_is_the_start(path, world, pairs, checkpoint):
    """Whatever its β: the gradients are those of the loss over β."""
    start = products(world, pairs, path=path)
    assert start.shape == (4, 4) and (np.linalg.eigvalsh(start) > 0).all()
    again = products(world, pairs, checkpoint(Run(beta=300.0)), path)
    assert again == pytest.approx(start, rel=1e-4)


def test_at_a_checkpoint_pairs_weigh_by_their_margins(world, pairs, checkpoint):
    """The gradient of −log σ(h)/β is −σ(−h)·½·∂margin, h = ½·β·margin, with the adapter and without it at the same points."""
    run = Run(beta=2000.0, lora_rank=8, lora_alpha=4)
    manifest, backbone = checkpoint(run, distance=0.3), world.backbone
    found = products(world, pairs, manifest)
    batches = Batches(pairs, world.embeddings, run, seed=0, draw_seed=0, reward_scale=1.0, device=backbone.device)
    policy, expected, weights = ADAPTERS["lora"](backbone, run, seed=1), [], []
    policy.load(manifest.parent)
    for position in range(4):
        batch = batches.at(position, 1)
        w, l = mean_square(residuals_at(backbone, policy.model, batch, 1.0))  # noqa: E741
        with policy.reference() as model:
            ref_w, ref_l = mean_square(residuals_at(backbone, model, batch, 1.0)).tolist()
        gradient = torch.autograd.grad(l - w, list(policy.trainable.values()))
        weights.append(0.5 / (1 + math.exp(1000 * (ref_w - ref_l + (l - w).item()))))
        expected.append(weights[-1] * torch.cat([g.flatten() for g in gradient]).double().numpy())
    policy.close()
    assert max(weights) > 1.2 * min(weights)
    assert found == pytest.approx(np.stack(expected) @ np.stack(expected).T, rel=1e-4)


def test_what_cannot_be_compared_is_refused_in_one_line(world, pairs, checkpoint, models):
    with pytest.raises(UserError, match=r"a full fine-tuning; .* choose a run with `adapter: lora`$"):
        products(world, pairs, checkpoint(Run(adapter="full")))
    with pytest.raises(UserError, match=r"trained by sft, whose β is not that of DPO"):
        products(world, pairs, checkpoint(Run(loss="sft")))
    manifest = checkpoint(Run())
    other = load_backbone(models["flux"], {"transformer"})
    with pytest.raises(UserError, match=r"a checkpoint of another backbone \(sd3\)"):
        gradient_products(other, replace(pairs), world.embeddings, path="stored", count=3, seed=0, checkpoint=manifest)


def test_the_script_measures_every_path_of_a_policy(script, world, made, labels, checkpoint, models, tmp_path):
    files = {"pairs": made, "inverted": made, "labels": labels, "embeddings": world.folder / "manifest.json"}
    files |= {"policy": checkpoint(Run(beta=100.0), distance=0.01), "out": tmp_path / "gradients-pnapo-s0.json"}
    options = [str(part) for name, value in files.items() for part in (f"--{name}", value)]
    model = json.dumps(models["sd3"].model_dump())
    script("measure_gradients", *options, "--model", model, "--count", 3, "--seed", 0, "--device", "cpu")
    found = read_record(tmp_path / "gradients-pnapo-s0.json")
    assert set(found) == {"stored", "inverted", "shuffled", "independent", "independent_each"}
    assert {"n", "signal", "noise", "noise_low", "noise_high"} <= found["stored"].keys()
    assert found["stored"] == found["inverted"] != found["independent"]
    assert len(found["stored"]["signals"]) == len(found["stored"]["noises"]) == found["stored"]["n"] == 3
    with pytest.raises(UserError, match="keeps no weights after 2 steps; add it to the run's snapshots"):
        products(world, load_pairs(made, labels), files["policy"], step=2)
    few = ("--paths", "stored", "--model", model, "--count", 3, "--seed", 0, "--device", "cpu")
    script("measure_gradients", *options, *few)
    assert read_record(tmp_path / "gradients-pnapo-s0.json") == {"stored": found["stored"]}


def test_by_hand():
    g = np.array([[3.0, 1.0], [3.0, -1.0], [3.0, 0.0]])
    found = signal_to_noise(g @ g.T, z=1.0)
    # products of different pairs: 8, 9, 9, so signal 26/3; mean square norm 29/3, so noise 1; left out: 9, 9, 8
    spread = np.sqrt(2 / 3 * ((1 / 3) ** 2 * 2 + (2 / 3) ** 2))
    assert (found.signal, found.noise, found.pairs) == pytest.approx((26 / 3, 1.0, 3 / 26))
    assert (found.low, found.high) == pytest.approx((1 / (26 / 3 + spread), 1 / (26 / 3 - spread)))
    # noise, each left out: 19/2 − 9, 19/2 − 9, 20/2 − 8, so the spread is √(2/3·(¼ + ¼ + 1)) = 1
    assert (found.noise_low, found.noise_high) == pytest.approx((0.0, 2.0))
    assert np.array(left_out(g @ g.T)) == pytest.approx(np.array([[9, 9, 8], [0.5, 0.5, 2]]))


def test_gradients_without_a_mean_show_no_signal():
    g = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = signal_to_noise(g @ g.T)
    assert found.signal < 0 and found.pairs == found.high == math.inf


def test_the_interval_holds_what_is_known():
    """Gradients mean + noise with a known ratio: the intervals of about 95 % hold it, and the noise, in nearly all trials."""
    rng, dimensions = np.random.default_rng(0), 50
    mean = np.full(dimensions, 0.1)  # signal 0.5, noise 50: 100 pairs
    held = noise_held = 0
    for _ in range(40):
        g = mean + rng.standard_normal((600, dimensions))
        found = signal_to_noise(g @ g.T)
        held += found.low < 100 < found.high
        noise_held += found.noise_low < 50 < found.noise_high
    assert held >= 34 and noise_held >= 34
