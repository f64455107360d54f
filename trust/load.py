"""Whether memory stays flat: 100,000 prompts from the raw list to the tables, 20,000 pairs to train on, 1,000 runs in one plan.

Every stage is the workflow's own script in a process of its own, once with a fifth of the prompts and once with all. What it
holds more at its peak, divided by the prompts that came on top, is how it grows. Stages are given lists of the full length,
whatever the stage before has left of them, with drawn embeddings. The model is the smallest SD3 there is (random weights, one
step), the other networks are the embedded world's; the scores that tables are made of are drawn. `--small` takes a hundredth of
everything, and judges no growth: peaks of so short lists are buffers, which differ by 30 MiB from run to run.
"""

import argparse
import importlib
import json
import mmap
import os
import resource
import struct
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from pnapo.scripting import ENVIRONMENT
from trust.load_stages import IMAGES, STAGES, names, prepare, script
from trust.project import Project
from trust.promise import Promise, arguments, record
from trust.smallest import write_smallest
from trust.sources import ROOT
from trust.watched import Cost, resident, watched

PROMPTS, PAIRS, RUNS, BATCH = 100_000, 20_000, 1000, 16
DRAWN = 8  # side of the latents that are made: 4 KiB a prompt with their noises, its two images 6 KiB
SIDE = 16  # of the latents that are trained on: 16 KiB a pair
PER_10_000 = 20.0  # MiB that 10,000 more prompts may cost any stage: 2 KiB a prompt, ids, text and numbers
SPARED = 24.0  # MiB by which peaks may differ without a cause in their number: buffers that a short list does not fill
GROWS = f"grows by at most {SPARED:g} MiB, and {PER_10_000:g} for every 10,000 more"
PLAN_SECONDS, PLAN_MIB = 240, 1500  # of CPU and memory, for `snakemake -n` of 1,000 runs


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
        self.peak, self.mapped = full.peak, full.mapped
        self.rate = max(0.0, 10_000 * (full.grown - small.grown) / more)  # MiB for 10,000 more
        self.bounded = full.grown - small.grown <= SPARED + PER_10_000 * more / 10_000


def flat(title: str, pairs: dict[str, tuple[Cost, Cost]], told: str, count: int) -> Promise:
    """That no stage of `pairs` (a fifth of the list, then all of it) takes more memory than `count` prompts or pairs may."""
    found = {name: Growth(*both, count - count // 5) for name, both in pairs.items()}
    worst = max(found, key=lambda name: found[name].rate)
    peak, mapped = (max(getattr(one, kind) for one in found.values()) for kind in ("peak", "mapped"))
    told += f"; at most {found[worst].rate:.1f} MiB for 10,000 more (`{worst.split()[0]}`), peak {peak:.0f} MiB,"
    told += f" and {mapped:.0f} of mapped files"
    return Promise(title, told, all(one.bounded for one in found.values()))


def from_prompts_to_tables(folder: Path, count: int) -> list[Promise]:
    counter, sizes, costs = Counter(), (count // 5, count), {}
    model = write_smallest(folder / "model", DRAWN).model_dump_json()
    for size in sizes:
        at, before = folder / str(size), counter.count
        watched(partial(prepare, at, size), folder / f"logs/prepare-{size}.log")
        values = names(at, size, model)
        for group, lines in STAGES.items():
            for line in lines:
                name, *words = line.split()
                work = partial(script, name, *(word.format(**values) for word in words))
                cost = watched(work, folder / f"logs/{name}-{size}.log")
                costs.setdefault((group, line), []).append(cost)
                print(f"{size:,} prompts, {name}: {cost.seconds:.1f} s, {cost.grown:.0f} MiB", flush=True)
    decoded, promises = counter.count - before, []
    for group, lines in STAGES.items():
        title = f"{group.capitalize()}: the memory of every stage {GROWS} prompts"
        promises.append(flat(title, {line: costs[group, line] for line in lines}, f"{count:,} prompts", count))
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
    """Reference errors and training of a pair set, every pair once."""
    model = write_smallest(folder / "model-training", SIDE).model_dump_json()
    run = {"path": "stored", "loss": "dpo", "schedule": "dynamic", "batch": BATCH, "lora_rank": 4}
    costs, size = {}, 0
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
        costs.setdefault("cache_reference", []).append(watched(work, folder / f"logs/reference-{number}.log"))
        once = json.dumps({**run, "steps": number // BATCH})
        more = ["--labels", here / "hps.parquet", "--run", once, "--reference", reference, "--seed", 0]
        more += ["--draw-seed", 0, "--device", "cpu", "--out", here / "run-s0/manifest.json"]
        work = partial(script, "train", *files, *more)
        costs.setdefault("train", []).append(watched(work, folder / f"logs/train-{number}.log"))
        for name, found in costs.items():
            print(f"{number:,} pairs, {name}: {found[-1].seconds:.1f} s, {found[-1].grown:.0f} MiB", flush=True)
    title = f"Training reads mapped shards: its own memory {GROWS} pairs"
    return flat(title, costs, f"{count:,} pairs of {size:,.0f} MiB, each once", count)


def plan(folder: Path, runs: int) -> Promise:
    """`snakemake -n` of an experiment with many runs."""
    made = {"path": "stored", "schedule": "dynamic", "learning_rate": 1e-6, "steps": 2000}
    config = {"prompts": {"source": {"rows": 1_800_000}}}
    config |= {"runs": {f"pnapo_{number}": {**made, "beta": 100 + number} for number in range(runs)}}
    project = Project(folder / "planned", ROOT / "config.yaml")
    (project.folder / "plan.json").write_text(json.dumps(config))
    before, peak = resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    process = project.start("-n", "--quiet", "rules", "all", "--configfile", "plan.json")
    while process.poll() is None:
        peak = max(peak, resident(process.pid)[0])
        time.sleep(0.1)
    spent, told = resource.getrusage(resource.RUSAGE_CHILDREN), (project.folder / "screen.txt").read_text()
    seconds = spent.ru_utime - before.ru_utime + spent.ru_stime - before.ru_stime
    jobs = next((int(line.split()[1]) for line in told.splitlines() if line.startswith("total ")), 0)
    return Promise(
        f"{runs:,} runs fit into one plan (at most {PLAN_SECONDS} CPU-s and {PLAN_MIB} MiB)",
        f"{jobs:,} jobs in {seconds:.0f} CPU-s, {peak:.0f} MiB",
        process.returncode == 0 and jobs > runs and seconds <= PLAN_SECONDS and peak <= PLAN_MIB,
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--small", action="store_true", help="a hundredth of everything, to try it")
    parser.add_argument("--folder", type=Path, help="a new folder for all, which is kept (default: a temporary one)")


def main() -> None:
    args = arguments(__doc__, options)
    os.environ.update(ENVIRONMENT, OMP_NUM_THREADS="1")
    part = 100 if args.small else 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        found = [plan(folder, RUNS // part)]
        import_all()
        found += from_prompts_to_tables(folder, PROMPTS // part)
        found.append(training(folder, folder / str(PROMPTS // part), PAIRS // part))
        if args.small:
            found = [one for one in found if GROWS not in one.promise]
            print("growth of memory: not judged, so short lists do not fill their buffers")
        record("load", found, args.record_in)


def import_all() -> None:
    """What the stages import, so that each need not."""
    for module in ("accelerate", "detoxify", "diffusers", "faiss", "open_clip", "peft", "transformers"):
        importlib.import_module(module)


if __name__ == "__main__":
    main()
