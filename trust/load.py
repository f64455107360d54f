"""Whether memory stays flat: 100,000 prompts from the raw list to the tables, 20,000 pairs to train on, 1,000 runs in one plan.

Every stage is the workflow's own script in a process of its own, once with a fifth of the prompts and once with all. What it
holds more at its peak, divided by the prompts that came on top, is how it grows. Stages are given lists of the full length,
whatever the stage before has left of them. The model is the smallest SD3 there is (random weights, one step), the other
networks are the embedded world's; the scores that tables are made of are drawn. `--small` takes a hundredth of everything.
"""

import argparse
import importlib
import json
import mmap
import os
import resource
import runpy
import struct
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from pnapo.scripting import ENVIRONMENT
from trust.promise import RESULTS, Promise, record
from trust.smallest import write_smallest
from trust.watched import Cost, anonymous, watched

ROOT = Path(__file__).parents[1]
PROMPTS, PAIRS, RUNS, STEPS = 100_000, 20_000, 1000, 32
SIDE = 16  # of the latents that are trained on: 16 KiB a pair
PER_10_000 = 20.0  # MiB that 10,000 more prompts may cost any stage: 2 KiB a prompt, ids, text and numbers
SPARED = 24.0  # MiB by which peaks may differ without a cause in their number: buffers that a short list does not fill
PLAN_SECONDS, PLAN_MIB = 240, 1500  # of CPU and memory, for `snakemake -n` of 1,000 runs
HPS = {"kind": "hps", "model": "local-dir:assets/world/hps", "checkpoint": "assets/world/hps/HPS_v2.1.pt"}
IMAGES = "images/00000-of-00001/manifest.json"


def raw_prompts(count: int, seed: int = 0) -> list[str]:
    """Words of the world's prompts, drawn anew: of ten, one repeats an earlier one, and one has an ending more than one."""
    from pnapo.config.schema import Source
    from pnapo.world.raw_prompts import write_raw

    words = [word for text in write_raw(Source(rows=1800))[0]["prompt"] for word in text.split()]
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        kind = rng.integers(10) if number else 9
        earlier = found[rng.integers(number)] if kind < 2 else ""
        drawn = " ".join(words[k] for k in rng.integers(len(words), size=rng.integers(6, 25)))
        found.append(earlier if kind == 0 else f"{earlier}, masterpiece" if kind == 1 else f"{drawn} {number}")
    return found


def script(name: str, *arguments: object) -> None:
    """Run a workflow script in this process."""
    runpy.run_path(str(ROOT / "workflow_scripts" / f"{name}.py"))["main"]([str(argument) for argument in arguments])


def prepare(folder: Path, count: int) -> None:
    """What the stages start from: the raw list, the model, a list of `count` distinct prompts, and scores of four runs."""
    import pandas as pd

    from pnapo.artifacts import prompt_id, write_table

    texts = raw_prompts(count)
    write_table(folder / "raw.parquet", pd.DataFrame({"prompt": texts}))
    distinct = list(dict.fromkeys(texts))
    distinct += [f"{text} again" for text in distinct[: count - len(distinct)]]
    table = pd.DataFrame({"prompt_id": [prompt_id(text) for text in distinct], "prompt": distinct})
    write_table(folder / "list.parquet", table)
    rng = np.random.default_rng(0)
    base = rng.normal(size=count)
    for policy in ("base", "diffusion_dpo-s0", "pnapo-s0", "pnapo-s1"):
        for metric in ("hps", "clip"):
            scores = {"prompt_id": table["prompt_id"], "sample": 0, "score": base + 0.3 * rng.normal(size=count)}
            write_table(folder / "scores/sd3" / policy / f"heldout/{metric}.parquet", pd.DataFrame(scores))


# What each stage is called with. {at} is the folder of the stages, {given} the list of distinct prompts.
STAGES = {
    "prompts": (
        "read_source --settings {source} --out {at}/prompts/all.parquet",
        "filter_unsafe --prompts {given} --settings {safety} --device cpu --removed {at}/prompts/safe.removed.parquet"
        " --out {at}/prompts/safe.parquet",
        "drop_near_duplicates --prompts {given} --settings {default} --removed {at}/prompts/unique.removed.parquet"
        " --out {at}/prompts/unique.parquet",
        "drop_semantic_duplicates --prompts {given} --settings {semantic} --device cpu --removed"
        " {at}/prompts/distinct.removed.parquet --embeddings {at}/prompts/distinct.safetensors --out"
        " {at}/prompts/distinct.parquet",
        "cluster_prompts --prompts {at}/prompts/distinct.parquet --embeddings {at}/prompts/distinct.safetensors"
        " --settings {clusters} --out {at}/prompts/clustered.parquet",
        "select_prompts --prompts {at}/prompts/clustered.parquet --settings {selection} --out"
        " {at}/prompts/selected.parquet",
    ),
    "pairs": (
        "embed_prompts --prompts {given} --model {model} --device cpu --out {at}/embeddings/manifest.json",
        "generate_pairs --prompts {given} --embeddings {at}/embeddings/manifest.json --model {model} --settings {pairs}"
        " --shard 0 --device cpu --out {shard}",
        "collect_pairs --shards {shard} --settings {pairs} --out {at}/pairs/manifest.json",
        "decode_pairs --shard {shard} --model {model} --device cpu --out {images}",
    ),
    "labels": (
        "label_pairs --pairs {at}/pairs/manifest.json --images {images} --prompts {given} --reward {hps} --device cpu"
        " --out {at}/pairs/labels/hps.parquet",
        "calibrate_labels --labels {at}/pairs/labels/hps.parquet --preference {preference} --out"
        " {at}/pairs/labels/calibrated.parquet",
    ),
    "tables": (
        "main_table --scores {at}/scores --config {expected} --out {at}/tables/main.csv --metrics {at}/metrics.json",
    ),
}


def names(at: Path, count: int, model: str) -> dict[str, str]:
    """What stands for the names in STAGES."""
    expected = {"backbones": ["sd3"], "runs": {"diffusion_dpo": [0], "pnapo": [0, 1]}, "statistics": {"bootstrap": 100}}
    sections = {
        "source": {"path": str(at / "raw.parquet")},
        "safety": {"checkpoint": "assets/world/detoxify/toxic.ckpt", "config_path": "assets/world/detoxify"},
        "default": {},
        "semantic": {"clip": "local-dir:assets/world/clip", "threshold": 0.97},
        "clusters": {"count": 16},
        "selection": {"count": count // 20},
        "pairs": {"samples": 2, "steps": 1, "shards": 1, "batch": 256},
        "hps": {**HPS, "batch": 256},
        "preference": {"rewards": {"hps": "auto"}},
        "expected": {**expected, "metrics": {"hps": ["heldout"], "clip": ["heldout"]}},
    }
    paths = {
        "at": at,
        "given": at / "list.parquet",
        "shard": at / "pairs/samples/shard-00000-of-00001.json",
        "images": at / "pairs" / IMAGES,
    }
    return {"model": model} | {k: json.dumps(v) for k, v in sections.items()} | {k: str(v) for k, v in paths.items()}


class Counter:
    """How many latents were decoded, by this process and those forked from it."""

    def __init__(self) -> None:
        from pnapo.backbones import Backbone

        self._memory, decode = mmap.mmap(-1, 8), Backbone.decode

        def counted(backbone, latents, batch=None):
            self._memory[:] = struct.pack("q", self.count + len(latents))
            return decode(backbone, latents, batch)

        Backbone.decode = counted

    @property
    def count(self) -> int:
        return struct.unpack("q", self._memory[:])[0]


class Growth:
    """What a stage costs with a list of a fifth, then with the whole of it."""

    def __init__(self, small: Cost, full: Cost, more: int):
        self.peak = full.peak
        self.rate = max(0.0, 10_000 * (full.grown - small.grown) / more)  # MiB for 10,000 more
        self.bounded = full.grown - small.grown <= SPARED + PER_10_000 * more / 10_000


def from_prompts_to_tables(folder: Path, count: int) -> list[Promise]:
    counter, sizes, costs = Counter(), (count // 5, count), {}
    model = write_smallest(folder / "model").model_dump_json()
    for size in sizes:
        at, before = folder / str(size), counter.count
        watched(partial(prepare, at, size), folder / f"logs/prepare-{size}.log")
        values = names(at, size, model)
        for group, lines in STAGES.items():
            for name, *arguments in map(str.split, lines):
                work = partial(script, name, *(argument.format(**values) for argument in arguments))
                cost = watched(work, folder / f"logs/{name}-{size}.log")
                costs.setdefault((group, name), []).append(cost)
                print(f"{size:,} prompts, {name}: {cost.seconds:.1f} s, {cost.grown:.0f} MiB", flush=True)
    decoded, promises = counter.count - before, []
    for group in STAGES:
        found = {name: Growth(*both, count - sizes[0]) for (of, name), both in costs.items() if of == group}
        worst = max(found, key=lambda name: found[name].rate)
        told = f"{count:,} prompts; at most {found[worst].rate:.1f} MiB for 10,000 more (`{worst}`), peak"
        peak = max(one.peak for one in found.values())
        title = (
            f"{group.capitalize()}: the memory of every stage grows by at most {PER_10_000:g} MiB for 10,000 prompts"
        )
        promises.append(Promise(title, f"{told} {peak:.0f} MiB", all(one.bounded for one in found.values())))
    told = f"{decoded:,} latents decoded, of {2 * count:,} in the set"
    promises.append(Promise("No image of a pair set is decoded twice", told, decoded == 2 * count))
    return [*promises, a_few_pictures(folder / str(count), folder / "logs")]


def a_few_pictures(folder: Path, logs: Path) -> Promise:
    import pandas as pd

    from pnapo.artifacts.images import pngs_of
    from pnapo.report.images import evenly

    manifest = folder / "pairs" / IMAGES
    ids = pd.read_parquet(folder / "list.parquet")["prompt_id"]
    some, asked = [ids[k] for k in evenly(len(ids), 9)], logs / "few.log"
    cost = watched(lambda: print(len(pngs_of(manifest, some))), asked)
    size = manifest.with_name("images.parquet").stat().st_size / 2**20
    told = f"9 of {2 * len(ids):,}: {cost.seconds:.1f} s, {cost.grown:.0f} MiB of a file of {size:.0f}"
    whole = asked.read_text().strip() == "9"
    return Promise("A few pictures are read without the others (at most 64 MiB)", told, whole and cost.grown <= 64)


def write_pairs(folder: Path, count: int, model: str) -> None:
    """A pair set of drawn tensors through the real writer, its labels and embeddings."""
    import torch

    from pnapo.artifacts import read_table, write_table
    from pnapo.backbones import load_backbone
    from pnapo.config.schema import Model, Pairs
    from pnapo.pairs.generate import pair_settings
    from pnapo.pairs.labels import label
    from pnapo.pairs.shards import Shard, part_of, shard_writer
    from pnapo.pairs.store import collect

    backbone = load_backbone(Model.model_validate_json(model), {"transformer"}, "cpu")
    wanted, files = Pairs(samples=2, steps=1, shards=4), []
    ids = list(read_table(folder.parent / "list.parquet", ["prompt_id"])["prompt_id"])[:count]
    shape, generator = (2, *backbone.latent_shape), torch.Generator().manual_seed(0)
    for number in range(4):
        rows = range(count * number // 4, count * (number + 1) // 4)
        files.append(folder / f"samples/shard-{number:05d}-of-00004.json")
        own = [ids[row] for row in rows]
        settings, part = pair_settings(backbone, wanted), part_of(ids, rows)
        with shard_writer(files[-1], own, shape, settings, seed=0, part=part) as put:
            for start in range(0, len(own), 64):
                some = own[start : start + 64]
                noise, latent = (torch.randn(len(some), *shape, generator=generator) for _ in range(2))
                put(start, Shard(some, noise, latent))
    collect(files, wanted, folder / "manifest.json")
    write_table(folder / "hps.parquet", label(ids, np.random.default_rng(0).normal(size=(count, 2))))


def training(folder: Path, lists: Path, count: int) -> Promise:
    model = write_smallest(folder / "model-training", SIDE).model_dump_json()
    run = {"path": "stored", "loss": "dpo", "schedule": "dynamic", "steps": STEPS, "batch": 16, "lora_rank": 4}
    costs, size = [], 0
    for number in (count // 5, count):
        here = lists / f"training-{number}"
        watched(partial(write_pairs, here, number, model), folder / f"logs/write-{number}.log")
        size = sum(file.stat().st_size for file in here.rglob("*.safetensors")) / 2**20
        files = [
            "--pairs",
            here / "manifest.json",
            "--embeddings",
            lists / "embeddings/manifest.json",
            "--model",
            model,
        ]
        visit = ["--path", "stored", "--time-sampling", "uniform", "--draw-seed", 0, "--visit", 0]
        reference = here / "visit-0000.json"
        work = partial(script, "cache_reference", *files, *visit, "--device", "cpu", "--out", reference)
        cached = watched(work, folder / f"logs/reference-{number}.log")
        more = ["--labels", here / "hps.parquet", "--run", json.dumps(run), "--reference", reference, "--seed", 0]
        more += ["--draw-seed", 0, "--device", "cpu", "--out", here / "run-s0/manifest.json"]
        trained = watched(partial(script, "train", *files, *more), folder / f"logs/train-{number}.log")
        costs.append((cached, trained))
        for name, cost in (("cache_reference", cached), ("train", trained)):
            print(f"{number:,} pairs, {name}: {cost.seconds:.1f} s, {cost.grown:.0f} MiB", flush=True)
    cached, trained = (Growth(small, full, count - count // 5) for small, full in zip(*costs))
    told = (
        f"{count:,} pairs of {size:,.0f} MiB, {STEPS} steps; {trained.rate:.1f} MiB for 10,000 more (reference errors: "
        f"{cached.rate:.1f}), peak {trained.peak:.0f} MiB"
    )
    title = f"Training reads mapped shards: its own memory grows by at most {PER_10_000:g} MiB for 10,000 pairs"
    return Promise(title, told, cached.bounded and trained.bounded)


def plan(folder: Path, runs: int) -> Promise:
    """`snakemake -n` of an experiment with many runs."""
    made = {"path": "stored", "schedule": "dynamic", "learning_rate": 1e-6, "steps": 2000}
    config = {"results": str(folder / "results"), "prompts": {"source": {"rows": 1_800_000}}}
    config |= {"runs": {f"pnapo_{number}": {**made, "beta": 100 + number} for number in range(runs)}}
    (folder / "plan.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "all"]
    before, peak = resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    with open(folder / "plan.txt", "w") as log:
        process = subprocess.Popen(
            [*command, "--configfile", str(folder / "plan.json")], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(0.1)
    spent, told = resource.getrusage(resource.RUSAGE_CHILDREN), (folder / "plan.txt").read_text()
    seconds = spent.ru_utime - before.ru_utime + spent.ru_stime - before.ru_stime
    jobs = next((int(line.split()[1]) for line in told.splitlines() if line.startswith("total ")), 0)
    return Promise(
        f"{runs:,} runs fit into one plan (at most {PLAN_SECONDS} CPU-s and {PLAN_MIB} MiB)",
        f"{jobs:,} jobs in {seconds:.0f} CPU-s, {peak:.0f} MiB",
        process.returncode == 0 and jobs > runs and seconds <= PLAN_SECONDS and peak <= PLAN_MIB,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--small", action="store_true", help="a hundredth of everything, to try it; recorded in --folder"
    )
    parser.add_argument(
        "--folder", type=Path, help="where all is made (default: a temporary folder, removed afterwards)"
    )
    args = parser.parse_args()
    os.environ.update(ENVIRONMENT, OMP_NUM_THREADS="1")
    part = 100 if args.small else 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        found = [plan(folder, RUNS // part)]
        import_all()
        found += from_prompts_to_tables(folder, PROMPTS // part)
        found.append(training(folder, folder / str(PROMPTS // part), PAIRS // part))
        record("load", found, folder if args.small else RESULTS)


def import_all() -> None:
    """What the stages import, so that each need not."""
    for module in ("accelerate", "detoxify", "diffusers", "faiss", "open_clip", "peft", "transformers"):
        importlib.import_module(module)


if __name__ == "__main__":
    main()
