"""Passes and FLOPs of jobs, counted by hand."""

import re
from pathlib import Path

import pytest

from pnapo.errors import UserError
from pnapo.plan import known, memory, work
from pnapo.plan.jobs import job
from pnapo.plan.work import filled
from pnapo.world.testsets import write_list

ROOT = Path(__file__).resolve().parents[2]


def test_pairs_are_sampled_and_decoded(planned):
    """480 prompts of two images in two shards, 20 steps; guidance takes a second pass of SD3."""
    experiment = planned()
    done = work.work(experiment, job("generate_pairs", "sd3", 0))
    assert (done.forward, done.backward) == (240 * 2 * 20, 0)
    flops = experiment.backbones["sd3"].flops.forward
    assert done.flops == {("sampling", "fp32"): done.forward * flops}
    guided = planned(pairs={"guidance": 3}, models={"sd3": {"mixed_guidance": True}})
    assert work.work(guided, job("generate_pairs", "sd3", 0)).forward == 2 * done.forward
    assert work.work(planned(pairs={"batch": 7}), job("generate_pairs", "sd3", 0)).forward == filled(480, 7) * 20
    decoded = work.work(experiment, job("decode_pairs", "sd3", "", 0)).flops
    assert decoded == {("pixels", "tf32"): 480 * experiment.backbones["sd3"].decode}


def test_training_and_the_reference_it_lacks(planned):
    """200 steps of 16 pairs are six visits of 480 prompts and 320 pairs more; sft has neither losers nor reference."""
    experiment = planned()
    done = work.work(experiment, job("train", "sd3", "pnapo", 0))
    assert (done.backward, done.forward) == (2 * 3200, 2 * 3200 + 2 * 320)
    flops = experiment.backbones["sd3"].flops
    assert done.flops["training", "fp32"] == 6400 * flops.training("lora")
    assert work.work(experiment, job("train", "sd3", "sft", 0))[:2] == (3200, 3200)
    assert work.work(experiment, job("cache_reference", "sd3", "", "stored", "uniform", 0, 0)).forward == 960
    computed = planned(runs={"pnapo": {"reference": "compute", "adapter": "full"}})
    done = work.work(computed, job("train", "sd3", "pnapo", 0))
    assert done.forward == 2 * 6400 and done.flops["training", "fp32"] == 6400 * flops.training()
    again = work.work(planned(runs={"pnapo": {"gradient_checkpointing": True}}), job("train", "sd3", "pnapo", 0))
    assert again.flops["training", "fp32"] == 6400 * (flops.training("lora") + flops.forward)


def test_images_and_scores(planned):
    experiment = planned()
    assert work.work(experiment, job("generate_images", "sd3", "base", "geneval")).forward == 144 * 4 * 20
    scored = work.work(experiment, job("score_images", "sd3", "base", "freeform", "hps")).flops
    clip = experiment.rewards["hps"]
    assert scored["text and scores", "fp32"] == 256 * clip.image.forward(17) + 240 * clip.text.forward(24)
    assert not work.work(experiment, job("score_images", "sd3", "base", "geneval", "geneval")).flops
    assert not work.work(experiment, job("report")).flops


def test_rewards_that_read_prompt_and_image_together_see_every_image(planned):
    program = {"kind": "external", "program": "envs/external/hpsv3.py", "model": "Qwen2-VL-7B-Instruct", "batch": 8}
    experiment = planned("config/paper.yaml", rewards={"hpsv3": program, "mine": {**program, "program": "mine.py"}})
    scored = work.work(experiment, job("label_pairs", "sd3", "", "imagereward")).flops
    blip = experiment.rewards["imagereward"]
    assert scored["text and scores", "fp32"] == 40_000 * (blip.image.forward(197) + blip.text.forward(35))
    large = experiment.rewards["hpsv3"]
    scored = work.work(experiment, job("label_pairs", "sd3", "", "hpsv3")).flops["text and scores", "fp32"]
    assert scored == 40_000 * (large.image.forward(1024) + large.text.forward(1024))
    assert 16.5 < memory.peak(experiment, job("label_pairs", "sd3", "", "hpsv3")) < 24  # 8.3 B in bfloat16
    assert experiment.rewards["mine"].parameters == experiment.rewards["hps"].parameters


def test_geneval_hf_is_a_detector_and_a_clip(planned):
    """2,212 images in batches of 8, of 800 × 800 pixels, and a colour each."""
    experiment = planned("config/paper.yaml")
    done = work.work(experiment, job("score_images", "sd3", "base", "geneval", "geneval_hf"))
    detector = experiment.detectors["geneval_hf"]
    assert detector.forward(800) == pytest.approx(448.68e9, rel=1e-3) and detector.forward(384) == pytest.approx(
        107.25e9, rel=1e-3
    )
    clip = detector.clip
    colours = 2212 * clip.image.forward(257) + 2400 * clip.text.forward(77)
    assert done.flops == {("text and scores", "fp32"): 2216 * detector.forward(800) + colours}
    held = 4 * (68_741_083 + 427_616_513) + 8 * 800**2 * 1500 + 100 * 1024**2 * 9
    assert memory.peak(experiment, job("score_images", "sd3", "base", "geneval", "geneval_hf")) == pytest.approx(
        held / 2**30 * 1.05 + 1
    )


def test_paths_cost_what_they_take(planned):
    experiment = planned("config/lab.yaml", inversion={"steps": 5, "renoise": True})
    assert work.work(experiment, job("invert_pairs", "sd3", "", 0)).forward == 512 * 5 * 2
    assert work.work(experiment, job("truncate_pairs", "sd3", 0)).forward == 512 * 21
    assert work.work(experiment, job("measure_gradients", "sd3"))[:2] == (2560, 2560)
    assert work.work(experiment, job("measure_policy_gradients", "sd3", "pnapo", 0)).forward == 256 * 2 * 4
    assert work.work(experiment, job("measure_geometry", "sd3_guided")).forward == 128 * (2 * 20 + 9 * 4)


def test_lists_of_known_and_unknown_length(planned, tmp_path):
    for kind, count in known.WORLD.items():
        assert len(write_list(kind, None)) == count, kind
    (tmp_path / "mine.csv").write_text("prompt\none\ntwo\n\n")
    listed = {"freeform": None, "heldout": {"source": None, "count": None, "path": str(tmp_path / "mine.csv")}}
    rest = {"metrics": {"utility": None, "hps": {"testsets": ["heldout"]}}}
    rest["metrics"] |= dict.fromkeys(("pickscore", "clip", "aesthetic"))
    assert planned(testsets=listed, **rest).testsets == {"heldout": 2, "geneval": 144}
    listed["heldout"]["path"] = str(tmp_path / "none.csv")
    with pytest.raises(
        UserError, match=r"testsets.heldout.path: .*none.csv is not here, so nobody knows .*set `count`"
    ):
        planned(testsets=listed, **rest)
    listed["heldout"]["count"] = 70
    assert planned(testsets=listed, **rest).testsets["heldout"] == 70
    assert planned("config/paper.yaml").testsets == {"hpdv2": 3200, "opdv1": 7459, "geneval": 553}


@pytest.mark.parametrize(
    ("file", "pattern", "value"),
    [
        ("pnapo/lab/geometry.py", r"^BATCH = (\d+)", work.IMAGES_AT_ONCE),
        ("pnapo/lab/geometry.py", r"^TIMES = (\d+)", work.GEOMETRY_TIMES),
        ("pnapo/detectors/instances.py", r"^MOST = (\d+)", memory.MASKS),
        ("pnapo/training/reference.py", r"^ROWS = (\d+)", work.REFERENCE_AT_ONCE),
        ("pnapo/backbones/base.py", r"def encode_prompts\(.*batch: int = (\d+)", work.EMBED_AT_ONCE),
    ],
)
def test_batches_are_those_of_the_modules(file, pattern, value):
    assert int(re.search(pattern, (ROOT / file).read_text("utf-8"), re.M)[1]) == value


def test_every_rule_that_wants_a_gpu_is_counted():
    told = re.findall(
        r"^rule (\w+):\n(.*?)(?=^\S|\Z)", "".join(map(Path.read_text, ROOT.glob("rules/*.smk"))), re.M | re.S
    )
    gpu = {name for name, body in told if "gpu=GPU" in body} | {"measure_policy_gradients"}
    world = {"make_world_part", "world_quality"}  # targets of their own
    assert set(work.WORK) == set(memory.MEMORY) == gpu - world
