"""The stages that are put under load: what each is called with, and lists, embeddings and scores of any length for them."""

import json
import runpy
from pathlib import Path

import numpy as np

from trust.sources import ROOT

HPS = {"kind": "hps", "model": "local-dir:assets/world/hps", "checkpoint": "assets/world/hps/HPS_v2.1.pt"}
AESTHETIC = {"kind": "aesthetic", "model": "local-dir:assets/world/clip"}
AESTHETIC |= {"checkpoint": "assets/world/aesthetic/linearMSE.pth"}
IMAGES = "images/00000-of-00001/manifest.json"
WIDTH = 768  # of drawn text embeddings, that of CLIP ViT-L


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
    """What the stages start from: the raw list, a list of `count` distinct prompts, embeddings of it, scores of four runs."""
    import pandas as pd

    from pnapo.artifacts import prompt_id, write_table
    from pnapo.prompts.semantic import write_embeddings

    texts = raw_prompts(count)
    write_table(folder / "raw.parquet", pd.DataFrame({"prompt": texts}))
    distinct = list(dict.fromkeys(texts))
    distinct += [f"{text} again" for text in distinct[: count - len(distinct)]]
    table = pd.DataFrame({"prompt_id": [prompt_id(text) for text in distinct], "prompt": distinct})
    write_table(folder / "list.parquet", table)
    rng = np.random.default_rng(0)
    sizes = (min(2000, count - start) for start in range(0, count, 2000))
    write_embeddings(
        folder / "list.safetensors", count, (rng.normal(size=(size, WIDTH)).astype(np.float32) for size in sizes)
    )
    base = rng.normal(size=count)
    for policy in ("base", "diffusion_dpo-s0", "pnapo-s0", "pnapo-s1"):
        for metric in ("hps", "clip"):
            scores = {"prompt_id": table["prompt_id"], "sample": 0, "score": base + 0.3 * rng.normal(size=count)}
            write_table(folder / "scores/sd3" / policy / f"heldout/{metric}.parquet", pd.DataFrame(scores))


# {at} is the folder of the stages, {given} the list of distinct prompts, {drawn} its embeddings.
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
        "cluster_prompts --prompts {given} --embeddings {drawn}"
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
        "invert_pairs --shard {shard} --embeddings {at}/embeddings/manifest.json --model {model} --settings {inversion}"
        " --device cpu --out {at}/inverted/samples/shard-00000-of-00001.json",
    ),
    "labels": (
        "label_pairs --pairs {at}/pairs/manifest.json --images {images} --prompts {given} --reward {hps} --device cpu"
        " --out {at}/pairs/labels/hps.parquet",
        "label_pairs --pairs {at}/pairs/manifest.json --images {images} --prompts {given} --reward {aesthetic} --device cpu"
        " --out {at}/pairs/labels/aesthetic.parquet",
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
        "inversion": {"steps": 1, "batch": 256},
        "hps": {**HPS, "batch": 256},
        "aesthetic": {**AESTHETIC, "batch": 256},
        "preference": {"rewards": {"hps": "auto"}},
        "expected": {**expected, "metrics": {"hps": ["heldout"], "clip": ["heldout"]}},
    }
    paths = {
        "at": at,
        "given": at / "list.parquet",
        "drawn": at / "list.safetensors",
        "shard": at / "pairs/samples/shard-00000-of-00001.json",
        "images": at / "pairs" / IMAGES,
    }
    return {"model": model} | {k: json.dumps(v) for k, v in sections.items()} | {k: str(v) for k, v in paths.items()}
