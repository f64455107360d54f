"""A finished workflow in small: real files in every format the report reads, made without any model."""

import io
import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pnapo.artifacts import prompt_id, write_json, write_manifest, write_table, write_text
from pnapo.config.schema import Config
from pnapo.tables.write import write_all

from .laboratory import write_laboratory

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
NASTY = [
    "<script>alert(1)</script> & \"quoted\" 'too' </figcaption><img src=http://x/y.png>",
    "50% of $x_1$ \\textbf{bold} | `code` {{ config }} {% raw %}",
    "line one\nline\ttwo\x07\x1b[31m \u202eright to left\u202c 🙂",
    "word " * 2000,
    "https://example.org/a.png",
]
RAW = {
    "name": "A <b>small</b> world & more",
    "backbones": ["sd3"],
    "models": {"sd3": {"family": "sd3", "path": "unused", "resolution": 8}},
    "prompts": {"safety": {"checkpoint": "unused"}, "semantic": {"clip": "unused"}},
    "rewards": {"hps": {"kind": "hps", "model": "unused", "checkpoint": "unused"}},
    "testsets": {"freeform": {"source": "freeform"}, "geneval": {"source": "geneval", "images": 2}},
    "metrics": {
        "hps": {"kind": "reward", "reward": "hps", "testsets": ["freeform"]},
        "utility": {"kind": "utility", "testsets": ["freeform"]},
        "geneval": {"kind": "geneval", "detector": "world", "testsets": ["geneval"]},
    },
    "runs": {
        "sft": {"loss": "sft", "path": "independent", "steps": 30},
        "diffusion_dpo": {"path": "independent", "loss": "dpo", "beta": 100, "steps": 30},
        "pnapo": {"loss": "dpo", "schedule": "dynamic", "beta": 300, "steps": 30, "seeds": [0, 1]},
    },
    "statistics": {"bootstrap": 200},
}


def png(rng, size=8):
    """A PNG of noise."""
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def log_lines(run, rng):
    """A training log like `pnapo.training`'s: SFT has no loser and no reference."""
    for step in range(1, run.steps + 1):
        e = {"e_w": 0.2, "e_l": 0.25, "e_ref_w": 0.2, "e_ref_l": 0.24, "margin": 0.001, "implicit_accuracy": 0.6}
        e = {k: v + rng.normal() * 1e-3 for k, v in e.items()} | {"beta_eff": run.beta, "loss": 0.69}
        if run.loss == "sft":
            e = dict.fromkeys(e) | {"e_w": e["e_w"], "loss": e["e_w"]}
        yield {"step": step, "grad_norm": 0.1, "learning_rate": run.learning_rate, **e}


@pytest.fixture(scope="session")
def script():
    """script(name, *arguments) runs a workflow script's main."""

    def run(name, *arguments):
        runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]([str(a) for a in arguments])

    return run


@pytest.fixture
def nasty():
    """The first prompts of the freeform test set."""
    return NASTY


@pytest.fixture
def results(tmp_path, script):
    """The results folder; config.json lies in it."""
    return write_results(tmp_path / "results", RAW, script)


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory, script):
    """The same of twelve runs, with every table of the laboratory. Do not change what lies in it."""
    dpo = {"path": "independent", "loss": "dpo", "beta": 30, "steps": 30}
    runs = {name: {**dpo, "loss": name} for name in ("ipo", "capo", "mapo", "sdpo", "linear")}
    parts = {"no_f": "anneal", "no_g": "reward_gap", "constant": "constant"}
    runs |= {f"pnapo_{name}": {"loss": "dpo", "schedule": s, "beta": 300, "steps": 30} for name, s in parts.items()}
    runs["pnapo_half"] = {**runs["pnapo_no_g"], "pairs": 20}
    runs = {name: {**run, "tune": True} for name, run in {**RAW["runs"], **runs}.items()}
    lab = {"tuning": {"testset": "freeform"}, "budget": {"testset": "freeform"}, "claims": {"testset": "freeform"}}
    folder, raw = tmp_path_factory.mktemp("laboratory") / "results", {**RAW, **lab, "runs": runs}
    write_results(folder, raw, script)
    write_laboratory(folder, Config.model_validate(raw))
    return folder


def write_results(folder, raw, script):
    """Everything the report needs of a configuration, but the laboratory."""
    config, rng = Config.model_validate(raw), np.random.default_rng(0)
    texts = {"freeform": NASTY + [f"prompt {i}" for i in range(4)], "geneval": [f"a photo of {i}" for i in range(6)]}
    tasks = ["counting", "position"] * 3
    policies = ["base", *(f"{name}-s{seed}" for name, run in config.runs.items() for seed in run.seeds)]
    for testset, prompts in texts.items():
        ids = [prompt_id(p) for p in prompts]
        write_table(folder / "testsets" / f"{testset}.parquet", pd.DataFrame({"prompt_id": ids, "prompt": prompts}))
        k = config.testsets[testset].images
        keys = pd.DataFrame({"prompt_id": np.repeat(ids, k), "sample": np.tile(np.arange(k), len(ids))})
        for policy in policies:
            place = folder / "images" / "sd3" / policy / testset
            write_table(place / "images.parquet", keys.assign(image=[png(rng) for _ in range(len(keys))]))
            write_manifest(place, "images", {"guidance": 1.0, "resolution": 8}, ["images.parquet"])
            for metric in (m for m, s in config.metrics.items() if testset in s.testsets):
                frame = keys.assign(score=rng.normal(size=len(keys)))
                if metric == "geneval":
                    frame = keys.assign(score=rng.integers(0, 2, len(keys)).astype(float), tag=np.repeat(tasks, k))
                write_table(folder / "scores" / "sd3" / policy / testset / f"{metric}.parquet", frame)
    for name, run in config.runs.items():
        for seed in run.seeds:
            place = folder / "runs" / "sd3" / f"{name}-s{seed}"
            write_text(place / "train_log.jsonl", "".join(json.dumps(x) + "\n" for x in log_lines(run, rng)))
            settings = {"family": "sd3", "guidance": 1.0, "stop": run.steps, "run": {"path": run.path}}
            write_json(place / "warnings.json", {"warnings": [], "stopped": None})
            cost = dict.fromkeys(("seconds", "cpu_seconds", "gpu_seconds"), 1.5) | {"peak_memory_mb": 100.0}
            passes = {"forward_passes": 960, "reference_passes": 160, "shared_reference_passes": 800}
            write_manifest(place, "checkpoint", settings, ["train_log.jsonl", "warnings.json"])
            write_manifest(place / "compute.json", "cost", {}, [], **cost | passes | {"pairs_seen": 480})
    gap = np.abs(rng.normal(size=40)) * 0.01
    gap[:6] = 0
    labels = pd.DataFrame({"prompt_id": [f"{i:016x}" for i in range(40)], "gap": gap, "tie": gap == 0})
    write_table(folder / "pairs" / "sd3" / "labels" / "hps.parquet", labels)
    funnel = pd.DataFrame({"step": ["source", "safe"], "prompts": [100, 80], "precision": [np.nan, 0.9]})
    write_all(funnel, folder / "tables" / "funnel.csv", "Prompts left.")
    names = {
        "backbones": config.backbones,
        "runs": {name: run.seeds for name, run in config.runs.items()},
        "metrics": {name: metric.testsets for name, metric in config.metrics.items()},
        "statistics": config.statistics.model_dump(),
    }
    for table in ("main", "geneval"):
        out = folder / "tables" / f"{table}.csv"
        more = ["--metrics", folder / "metrics.json"] if table == "main" else []
        script(f"{table}_table", "--scores", folder / "scores", "--config", json.dumps(names), "--out", out, *more)
    runs = sorted((folder / "runs" / "sd3").iterdir())
    script("compute_table", "--runs", *runs, "--out", folder / "tables" / "compute.csv")
    write_json(folder / "config.json", raw)
    return folder
