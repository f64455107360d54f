"""GPU memory and disk, by hand."""

import pytest

from pnapo.config.schema import Run
from pnapo.plan import disk, memory
from pnapo.plan.jobs import job
from pnapo.plan.models import published

SD3 = published("sd3", 1024, 256)  # 2,028,328,000 parameters, 56,623,104 positions; 4,429 tokens of 1,536 in 24 blocks
ROW = 24 * 4429 * 1536  # of a row's activations


def test_full_fine_tuning_holds_weights_gradients_moments_and_autocasts_copies():
    run = Run(adapter="full", batch=4)
    assert memory.training(SD3, run) == 2_028_328_000 * (4 + 4 + 8 + 2) + 8 * 50 * ROW
    assert memory.training(SD3, run.model_copy(update={"ema": 0.99})) - memory.training(SD3, run) == 2_028_328_000 * 4
    beside = memory.training(SD3, run.model_copy(update={"reference": "compute"})) - memory.training(SD3, run)
    assert beside == 2 * (2_028_328_000 + 56_623_104)  # the reference, in bfloat16
    sft = run.model_copy(update={"loss": "sft"})
    assert memory.training(SD3, run) - memory.training(SD3, sft) == 4 * 50 * ROW  # no losers


def test_lora_holds_the_frozen_model_once():
    base = 2 * (2_028_328_000 + 56_623_104)
    adapter = 16 * 2 * 1536 * (24 * 8 - 1)  # rank 16; the last block has no output for the prompt
    assert memory.training(SD3, Run()) == base + 16 * adapter + 32 * 32 * ROW
    checkpointed = memory.training(SD3, Run(gradient_checkpointing=True))
    assert checkpointed == base + 16 * adapter + 32 * (2 * ROW + 32 * ROW / 24)
    before = memory.training(SD3, Run(batch=1, gradient_checkpointing=True))
    assert before == base + 16 * 4429 * 1536 * 16 * 2  # the reference's batches of 16, before the first step


def test_a_split_model_and_moments_of_8_bits():
    run = Run(adapter="full", batch=4, sharded=True)
    assert memory.training(SD3, run) == memory.training(SD3, run.model_copy(update={"sharded": False}))
    block = 36 * 1536**2  # two gathered in bfloat16, the gradient of one there and in float32
    assert memory.training(SD3, run, gpus=8) == 2_028_328_000 * 16 / 8 + block * (2 * 2 + 2 + 4) + 8 * 50 * ROW
    small = Run(adapter="full", batch=4, optimizer="adamw_8bit")
    assert memory.training(SD3, small) == 2_028_328_000 * (4 + 4 + 2 + 2) + 8 * 50 * ROW


def test_a_plan_splits_sharded_runs_over_its_gpus(planned):
    sharded = {"pnapo": {"adapter": "full", "sharded": True}}
    one, four = (planned(runs=sharded, gpus=gpus) for gpus in (1, 4))
    number = one.backbones["sd3"].transformer.parameters
    found = [memory.peak(e, job("train", "sd3", "pnapo", 0)) for e in (one, four)]
    assert (found[0] - found[1]) * 2**30 / 1.05 == pytest.approx(
        number * 16 * 3 / 4 - memory.gathered(four.backbones["sd3"])
    )
    assert [e.gpus_of(job("train", "sd3", "pnapo", 0)) for e in (one, four)] == [1, 4]
    assert {e.gpus_of(job("train", "sd3", "sft", 0)) for e in (one, four)} == {1}


def test_images_of_test_sets_are_made_as_many_at_once_as_they_say(planned):
    few = planned("config/paper.yaml", models={"flux": {"tests": {"batch": 2}}})
    images = job("generate_images", "flux", "base", "hpdv2")
    four, two = (memory.peak(e, images) for e in (planned("config/paper.yaml"), few))
    assert (four - two) * 2**30 / 1.05 == pytest.approx(4 * 3 * 2 * 256 * 1024**2)


def test_jobs_without_gradients(planned):
    experiment = planned("config/paper.yaml")
    weights = 2 * (2_028_328_000 + 56_623_104)
    sampling = weights + 8 * 4429 * 1536 * 16 * 2
    assert memory.peak(experiment, job("generate_pairs", "sd3", 0)) == sampling / 2**30 * 1.05 + 1
    pixels = 4 * (83_819_683 + 3 * 8 * 256 * 1024**2)  # 256 channels at the picture's size, eight pictures
    assert memory.peak(experiment, job("decode_pairs", "sd3", "", 0)) == pixels / 2**30 * 1.05 + 1
    embedding = memory.peak(experiment, job("embed_prompts", "flux", "hpdv2"))
    encoders, made = 2 * (4_762_310_656 + 123_060_480), 4 * 512 * (512 * 4096 + 768)  # of 512 prompts
    assert (encoders + 2 * made) / 2**30 <= (embedding - 1) / 1.05 < 20
    assert memory.peak(experiment, job("report")) is None
    flux = memory.peak(experiment, job("train", "flux", "pnapo", 0))
    assert flux > 11_901_408_320 * 18 / 2**30  # of one GPU


def test_disk_is_counted_as_it_is_stored(planned):
    experiment = planned("config/paper.yaml")
    shard = 313 * 2 * 16 * 128 * 128 * 4  # 20,000 prompts in 64 shards: the first holds 313
    assert disk.disk(experiment, job("generate_pairs", "sd3", 0)) == (2 * shard, shard)
    assert disk.disk(experiment, job("invert_pairs", "sd3", "", 0)) == (2 * shard, shard)
    assert disk.disk(experiment, job("truncate_pairs", "sd3", 0)) == (2 * shard, 2 * shard)
    embeddings = 20_001 * ((77 + 256) * 4096 + 2048) * 2
    assert disk.disk(experiment, job("embed_prompts", "sd3", "selected")).kept == embeddings
    assert disk.disk(experiment, job("cache_reference", "sd3", "", "stored", "uniform", 0, 0)).kept == 40_000 * 12
    weights = 2 * (2_028_328_000 + 56_623_104)
    assert disk.disk(experiment, job("train", "sd3", "pnapo", 0)) == (weights, weights + 2 * 12 * 2_028_328_000)
    images = disk.disk(experiment, job("generate_images", "sd3", "base", "geneval")).kept
    assert images == pytest.approx(553 * 4 * 1024**2 * disk.PNG)


def test_snapshots_are_kept_too(planned):
    kept = {"snapshots": [10, 20], "checkpoint_every": 500}
    lora = disk.disk(planned(runs={"pnapo": kept}), job("train", "sd3", "pnapo", 0))
    adapter = 4 * 16 * 2 * 128 * (4 * 8 - 1)
    assert lora == (3 * adapter, 3 * adapter + 3 * adapter)  # of 200 steps, the last one's state alone; AdamW's moments


def test_downloads_are_known_or_said_to_be_unknown(planned):
    mine = {"mine": {"repo": "me/mine", "path": "cache/mine"}}
    found = {item.name: item.size for item in disk.downloads(planned("config/paper.yaml", downloads=mine))}
    assert found.pop("mine") is None and all(found.values())
