"""Trainings that go wrong, on purpose: the real script on real pairs of the smallest model, each in a process of its own.

Every trouble that a training can see has to be said, and to reach the report; none of a training that goes well. A training
that SIGTERM or SIGKILL ends at a random step has to go on from a state, and to end with the bytes of one that nobody disturbed.
"""

import json
import os
import random
import re
import runpy
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from trust.promise import Promise, record, seeded
from trust.smallest import write_smallest

SCRIPT = Path(__file__).parents[1] / "workflow_scripts" / "train.py"
PROMPTS = 32
WELL: dict[str, Any] = {"adapter": "full", "learning_rate": 3e-5, "beta": 300.0, "steps": 60, "batch": 8}
WELL |= {"schedule": "dynamic", "checkpoint_every": 1000}
FLAT = {"schedule": "constant"}
EVERY = 20  # steps between two states of a training that is ended
# What is changed of a training that goes well, by the warning that has to follow.
TROUBLES: dict[str, dict[str, Any]] = {
    "not_finite": {"adapter": "lora", "learning_rate": 1e25},
    "gradient_explodes": {**FLAT, "loss": "sft", "learning_rate": 0.3},
    "both_errors_grow": {**FLAT, "beta": 1.0, "learning_rate": 3e-3},
    "accuracy_collapses": {**FLAT, "loss": "ipo", "beta": 50.0, "learning_rate": 0.3, "warmup": 200, "steps": 200},
    "far_from_reference": {"learning_rate": 0.1},
    "no_spread": {},  # with labels that rate all alike
    "gap_outlier": {},  # with labels of which one is huge
}
METHODS: dict[str, dict[str, Any]] = {
    "pnapo": {},
    "pnapo with LoRA": {"adapter": "lora", "learning_rate": 1e-3},
    "pnapo with an average": {"ema": 0.9},
    "diffusion_dpo": {**FLAT, "path": "independent"},
    "ipo": {**FLAT, "loss": "ipo"},
    "capo": {**FLAT, "loss": "capo"},
    "kto": {**FLAT, "loss": "kto"},
    "npo": {**FLAT, "loss": "npo"},
    "mapo": {**FLAT, "loss": "mapo", "beta": 0.1},
    "sdpo": {**FLAT, "loss": "sdpo"},
    "linear_dpo": {**FLAT, "loss": "linear", "reference": "compute", "reference_ema": 0.9},
    "sft": {**FLAT, "loss": "sft", "path": "independent"},
}


class Pairs:
    """A real pair set with its prompts' embeddings, and labels by the mean of the latents."""

    def __init__(self, folder: Path):
        import pandas as pd
        import torch

        from pnapo.artifacts import prompt_id, write_table
        from pnapo.backbones import load_backbone
        from pnapo.config.schema import Pairs as Settings
        from pnapo.pairs.embeddings import read_embeddings, write_embeddings
        from pnapo.pairs.generate import generate_shard
        from pnapo.pairs.store import PairSet, collect

        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        torch.set_num_threads(1)
        self.folder, self.model = folder, write_smallest(folder / "model", side=8)
        texts = [f"a photo of {number} rings" for number in range(PROMPTS)]
        prompts = pd.DataFrame({"prompt_id": [prompt_id(text) for text in texts], "prompt": texts})
        write_table(folder / "prompts.parquet", prompts)
        embeddings = folder / "embeddings" / "manifest.json"
        write_embeddings(load_backbone(self.model, {"text"}), folder / "prompts.parquet", embeddings)
        backbone, settings = load_backbone(self.model, {"transformer"}), Settings(steps=2, batch=16, shards=1)
        shard = folder / "pairs" / "samples" / "shard-00000-of-00001.json"
        generate_shard(backbone, prompts, read_embeddings(embeddings), settings, 0, shard, lambda line: None)
        collect([shard], settings, folder / "pairs" / "manifest.json")
        found = PairSet.open(folder / "pairs" / "manifest.json")
        latents = found.latent(range(PROMPTS))
        self.ids, self.scores = found.prompt_ids, latents.flatten(2).mean(2).double() * 0.2

    def labels(self, name: str) -> Path:
        """A label table: `usual`, `no_spread` (all rated alike) or `gap_outlier` (one score that is wrong)."""
        from pnapo.artifacts import write_table
        from pnapo.pairs.labels import label

        scores, path = self.scores.clone(), self.folder / f"{name}.parquet"
        if name == "no_spread":
            scores *= 1e-5
        if name == "gap_outlier":
            scores[3, 0] = 50.0
        if not path.exists():
            write_table(path, label(self.ids, scores.numpy()))
        return path

    def start(self, name: str, run: dict[str, Any], labels: str = "usual", watch: str = "{}") -> int:
        """Begin a training in a fork of this process, which has imported everything, and return its number."""
        out, said = self.folder / "runs" / name / "run" / "manifest.json", self.folder / f"{name}.log"
        options = {"pairs": "pairs/manifest.json", "embeddings": "embeddings/manifest.json"}
        options = {option: str(self.folder / path) for option, path in options.items()}
        options |= {"labels": str(self.labels(labels)), "model": self.model.model_dump_json(), "run": json.dumps(run)}
        options |= {"seed": "0", "draw-seed": "0", "device": "cpu", "watch": watch, "out": str(out)}
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            with open(said, "ab") as handle:
                for stream in (1, 2):
                    os.dup2(handle.fileno(), stream)
            sys.argv = [str(SCRIPT), *(part for option, value in options.items() for part in (f"--{option}", value))]
            runpy.run_path(str(SCRIPT), run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def train(self, name: str, run: dict[str, Any], **options: str) -> tuple[int, str]:
        """A training's status and what it said."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.start(name, run, **options), 0)[1])
        return status, (self.folder / f"{name}.log").read_text("utf-8")

    def warned(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / "runs" / name / "run" / "warnings.json").read_text("utf-8"))

    def bytes(self, name: str) -> dict[str, bytes]:
        """Every file of a checkpoint but those that hold times."""
        folder = self.folder / "runs" / name / "run"  # the name is in the model card
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        kept = [path for path in files if path.name not in ("compute.json", "speed.jsonl")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def reported(pairs: Pairs, name: str, run: dict[str, Any]) -> list[tuple[str, int, str]]:
    """What the report says of a training: kind, seed, sentence."""
    import pandas as pd

    from pnapo.config.schema import Run
    from pnapo.report import checks
    from pnapo.report.collect import Results, read_log

    folder, empty = pairs.folder / "reported", pd.DataFrame()
    place = folder / "runs" / "sd3" / f"{name}-s0"
    shutil.copytree(pairs.folder / "runs" / name / "run", place)
    tables = dict.fromkeys(("main", "comparisons", "seeds", "compute", "funnel"), empty)  # of no interest here
    logs = {("sd3", name): [read_log(place / "train_log.jsonl")]}
    return list(checks.training(Results(folder, None, **tables, logs=logs, labels={}), "sd3", name, Run(**run)))


def troubles(pairs: Pairs) -> Promise:
    """Cause each trouble; it is detected if its warning was said, kept beside the weights and reported (or was the error)."""
    missed, steps = [], []
    for name, change in TROUBLES.items():
        labels, run = name if name in ("no_spread", "gap_outlier") else "usual", {**WELL, **change}
        status, said = pairs.train(name, run, labels=labels)
        if name == "not_finite":
            found = status == 1 and bool(
                re.search(r"^error: step \d+: \w+ is .*: training diverged", said, re.MULTILINE)
            )
        else:
            hits = [one for one in pairs.warned(name)["warnings"] if one["name"] == name] if status == 0 else []
            shown = [text for kind, _, text in reported(pairs, name, run) if kind == name] if hits else []
            found = bool(hits) and f"warning: step {hits[0]['step']}: " in said
            found = found and bool(shown) and hits[0]["text"] in shown[0]
            found = found and (f"step {hits[0]['step']}: " in shown[0] or hits[0]["step"] == run["steps"])
            steps += [f"{name} at step {hits[0]['step']}"] if hits else []
        missed += [] if found else [name]
        print(f"{name}: {'said' if found else 'MISSED'}", flush=True)
    figure = f"{len(TROUBLES) - len(missed)} of {len(TROUBLES)} detected ({', '.join(steps)}, not_finite as the error)"
    return Promise(
        "A training that goes wrong says so, with the step, in its log and in the report", figure, not missed
    )


def health(pairs: Pairs) -> Promise:
    """Train with every method as it should be; nothing may be said."""
    false = []
    for name, change in METHODS.items():
        status, said = pairs.train(f"well-{name.replace(' ', '-')}", {**WELL, **change})
        if status or "warning: " in said:
            false.append(name)
            print(f"{name}: {said[-600:]}", flush=True)
    figure = f"{len(false)} false alarms over {len(METHODS)} healthy trainings of {WELL['steps']} steps"
    return Promise("A training that goes well is not warned of", figure, not false)


def stops(pairs: Pairs) -> Promise:
    """With `on_trouble: stop`, the checkpoint holds weights from before the trouble: a snapshot of one that went on."""
    run = {**WELL, **FLAT, "beta": 1.0, "learning_rate": 1e-4, "steps": 200, "snapshots": list(range(20, 201, 20))}
    pairs.train("warned", run)
    status, said = pairs.train("stopped", run, watch='{"on_trouble": "stop"}')
    if status or not (stopped := pairs.warned("stopped")["stopped"]):
        return Promise("It can stop at the last good weights", f"not stopped: {said.splitlines()[-1]}", False)
    ours, theirs = pairs.bytes("stopped"), pairs.bytes("warned")
    weights = "transformer/diffusion_pytorch_model.safetensors"
    good = theirs[f"snapshots/{stopped['weights']}/{weights}"]
    same = all(ours[f"{folder}{weights}"] == good for folder in ("", "snapshots/200/"))
    figure = f"stopped after step {stopped['after']}, with the weights of step {stopped['weights']}, byte for byte"
    return Promise("It can stop at the last good weights", figure, same)


def end(pairs: Pairs, name: str, run: dict[str, Any], number: signal.Signals, step: int) -> tuple[int, str]:
    """Start a training, and send it a signal when so many steps are made, one at least by this start.

    Returns the steps in its log, and what was wrong with its end.
    """
    log = pairs.folder / "runs" / name / ".run.work" / "train_log.jsonl"
    goal = max(step, steps_in(log) + 1)
    child = pairs.start(name, run)
    while steps_in(log) < goal and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.002)
    os.kill(child, number)
    status, made = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), steps_in(log)
    last = (["", *(pairs.folder / f"{name}.log").read_text("utf-8").splitlines()])[-1]
    told = last.startswith(f"error: ended by SIGTERM after step {made} of ")
    well = status == -signal.SIGKILL if number == signal.SIGKILL else status == 143 and told
    return made, "" if well else f"{name}: {number.name} after step {made}: status {status}: {last}"


def steps_in(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def ended(pairs: Pairs, times: int, rng: random.Random) -> Promise:
    """End trainings at random steps, twice each, half by SIGTERM and half by SIGKILL, and let them go on."""
    run, wrong, steps = {**WELL, "ema": 0.9, "snapshots": [30], "steps": 300, "checkpoint_every": EVERY}, [], []
    pairs.train("undisturbed", run)
    expected = pairs.bytes("undisturbed")
    numbers = [(signal.SIGTERM, signal.SIGKILL)[count % 2] for count in range(times)]
    rng.shuffle(numbers)
    for start in range(0, times, 2):
        name, mine, allowed = f"ended-{start}", numbers[start : start + 2], []
        for number, step in zip(mine, sorted(rng.sample(range(EVERY + 5, 240), len(mine)))):
            made, problem = end(pairs, name, run, number, step)
            lost = EVERY if number == signal.SIGKILL else 0  # steps that may have to be made again
            allowed.append(range(made - lost, made + 1))
            steps.append(f"{made} ({number.name})")
            wrong += [problem] if problem else []
        _, said = pairs.train(name, run)
        resumed = [int(step) for step in re.findall(r"^resuming at step (\d+)", said, re.MULTILINE)]
        if len(resumed) != len(mine) or not all(step in range_ for step, range_ in zip(resumed, allowed)):
            wrong.append(f"{name}: went on from steps {resumed}, not from {allowed}")
        if pairs.bytes(name) != expected:
            wrong.append(f"{name}: not the bytes of the undisturbed training")
    for line in wrong:
        print(line, flush=True)
    figure = f"{times} ends, after steps {', '.join(steps)}: {len(wrong)} differences, logs included"
    title = f"SIGTERM saves a state, SIGKILL leaves the last, here at most {EVERY} steps old; the training goes on bit for bit"
    return Promise(title, figure, not wrong and times > 0)


def main() -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--folder", type=Path, help="a new folder to work in, and to keep (default: a temporary one)"
        )
        parser.add_argument("--ends", type=int, default=8, help="how often a training is ended (default: 8)")

    args = seeded(__doc__ or "", more)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        pairs = Pairs(folder.resolve())
        import pnapo.training.from_files  # noqa: F401  # once for all forks

        found = [troubles(pairs), health(pairs), stops(pairs), ended(pairs, args.ends, random.Random(args.seed))]
    record("training", found, args.record_in)


if __name__ == "__main__":
    main()
