"""One training in several processes, launched as the workflow does it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import psutil
import pytest
import torch
from safetensors.torch import load_file

from pnapo.artifacts import read_json, verify_manifest
from pnapo.training.log import read_log
from pnapo.training.verify import verify_checkpoint

from .conftest import ROOT

RUN = {"schedule": "dynamic", "steps": 6, "batch": 2, "learning_rate": 1e-2, "lora_rank": 4, "checkpoint_every": 2}
PATIENCE = 900  # seconds for anything that has to happen
MOVING = {"accumulation": 2, "reference": "compute", "reference_ema": 0.5}


def start(arguments, temporary=None, **options):
    command = [sys.executable, "workflow_scripts/train.py", *arguments]
    environment = {**os.environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "2"}
    environment["TMPDIR"] = str(temporary or tempfile.gettempdir())
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


SHARDED = {"adapter": "full", "sharded": True, "ema": 0.5, "snapshots": [3], "gradient_checkpointing": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "run"),
    [
        ("sd3", RUN | {"accumulation": 2}),
        ("sd3", RUN | {"accumulation": 4, "adapter": "full"}),
        ("sd3", RUN | MOVING),
        ("sd3", RUN | MOVING | {"adapter": "full", "sharded": True}),
        ("flux", RUN | {"accumulation": 4} | SHARDED),
    ],
)
def test_two_processes_give_the_loss_curve_of_one(script, arguments, tmp_path, family, run):
    model, folders = {"family": family}, {count: tmp_path / "runs" / str(count) / "pnapo-s1" for count in (1, 2)}
    script("train", *arguments(model, run, out=folders[1] / "manifest.json"))
    process = start(arguments(model, run, out=folders[2] / "manifest.json", processes=2))
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    one, two = (read_log(folder / "train_log.jsonl") for folder in folders.values())
    assert said.count("step 6/6") == 1 and verify_manifest(folders[2] / "manifest.json") == []
    assert [line["step"] for line in two] == list(range(6))
    # The first step's errors are taken by the same forward passes, so they are the same bits; later ones up to rounding.
    assert {k: v for k, v in one[0].items() if k != "grad_norm"} == {
        k: v for k, v in two[0].items() if k != "grad_norm"
    }
    for name in ("loss", "e_w", "e_l", "margin", "grad_norm"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4, abs=1e-7), name
    for file in folders[1].rglob("*.safetensors"):
        expected, found = load_file(file), load_file(folders[2] / file.relative_to(folders[1]))
        close = torch.cat([found[name].isclose(value, atol=1e-4).flatten() for name, value in expected.items()])
        assert close.float().mean() > 0.98, file  # Adam takes as long a step where the gradient is nothing but rounding
    costs = [read_json(folder / "compute.json") for folder in folders.values()]
    for name in ("pairs_seen", "forward_passes", "reference_passes"):
        assert costs[0][name] == costs[1][name]


def rank(process):
    """The environment's RANK; None for one that has ended."""
    with suppress(psutil.Error):
        return process.environ().get("RANK")


@pytest.mark.slow
@pytest.mark.parametrize(("more", "told"), [({}, "all"), ({}, "one"), (SHARDED, "all")])
def test_two_processes_that_are_terminated_resume_to_the_same_bytes(arguments, tmp_path, more, told):
    """`told`: all processes at once, or the second alone, as where a signal comes to one node before the other."""
    run = RUN | {"accumulation": 2, "steps": 120, "checkpoint_every": 1000} | more
    whole, cut = (tmp_path / "runs" / name / "pnapo-s1" for name in ("whole", "cut"))
    said, _ = start(arguments({}, run, out=whole / "manifest.json", processes=2)).communicate(timeout=PATIENCE)
    process = start(arguments({}, run, out=cut / "manifest.json", processes=2), start_new_session=True)
    log = cut.with_name(".pnapo-s1.work") / "train_log.jsonl"
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)
    crew = psutil.Process(process.pid).children(recursive=True)
    second = [child for child in crew if rank(child) == "1"]
    for one in [process] if told == "all" else second:
        one.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == (128 + signal.SIGTERM if told == "all" else 1) and not cut.exists()
    assert re.match(r"error: ended by SIGTERM after step \d+ of 120; its state is saved", said.splitlines()[-1]), said
    assert not psutil.wait_procs(crew, timeout=PATIENCE)[1]  # nobody is left
    if more:
        part = next(log.parent.glob("state-*/__1_0.distcp"))
        kept = part.read_bytes()
        part.write_bytes(bytes((kept[0] ^ 1,)) + kept[1:])
        tried = tmp_path / "tried"
        shutil.copytree(log.parent, tried / "runs" / ".pnapo-s1.work")
        part.write_bytes(kept)
        damaged = tried / "runs" / "pnapo-s1"
        said, _ = start(arguments({}, run, out=damaged / "manifest.json", processes=2)).communicate(timeout=PATIENCE)
        assert "__1_0.distcp: not as it was when its state was saved; starting from step 0" in said
        assert (damaged / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    said, _ = start(arguments({}, run, out=cut / "manifest.json", processes=2)).communicate(timeout=PATIENCE)
    assert "resuming at step" in said
    for name in ("manifest.json", *(f.relative_to(whole) for f in whole.rglob("*.safetensors")), "train_log.jsonl"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


LEAVES = {"beta": 1.0, "schedule": "constant", "learning_rate": 3e-3}  # both images, soon
DIVERGES = {"learning_rate": 1e25}  # in its second step, which no weights are good before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "status", "told"),
    [
        (LEAVES, 0, r"stopped after step \d+; the checkpoint holds the weights of step \d+"),
        (DIVERGES, 1, r"error: step 2: \w+ is (nan|inf): training diverged; .*"),
    ],
    ids=("leaves", "diverges"),
)
def test_trouble_in_a_step_that_keeps_weights_lets_no_process_wait(arguments, tmp_path, trouble, status, told):
    """Every step does. Only the first process sees the trouble, and both have to gather split weights."""
    run = RUN | SHARDED | {"accumulation": 2, "ema": 0.0, "steps": 24, "snapshots": [*range(1, 25)]} | trouble
    watch = json.dumps({"window": 4, "on_trouble": "stop"})
    process = start(arguments({}, run, watch=watch, processes=2))
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        for one in psutil.Process(process.pid).children(recursive=True):
            one.kill()
        pytest.fail(f"they wait for one another: {process.communicate()[0]}")
    lines, manifest = said.splitlines(), tmp_path / "runs" / "sd3" / "pnapo-s1" / "manifest.json"
    assert process.returncode == status, said
    assert any(re.fullmatch(told, line) for line in lines), said
    if status:
        assert not manifest.exists()
    else:
        assert verify_manifest(manifest) == verify_checkpoint(manifest) == []


@pytest.mark.slow
def test_the_reason_of_a_failure_stands_in_the_last_line_and_nothing_is_left(arguments, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = start(arguments({}, RUN | {"accumulation": 3}, processes=2), temporary)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("error: 2 processes cannot share 3 forward passes a step")
    assert list(temporary.glob("torchelastic_*")) == []


CREW = '''
import os, signal, sys
from pnapo.processes import _run
signal.signal(signal.SIGINT, signal.default_int_handler)
stubborn = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))
print('up', flush=True)
while True:
    time.sleep(60)
"""
_run([sys.executable, "-c", stubborn], dict(os.environ))
'''


def test_a_second_interrupt_ends_processes_that_hang():
    crew = subprocess.Popen([sys.executable, "-c", CREW], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert crew.stdout.readline() == b"up\n"
    (hanging,) = psutil.Process(crew.pid).children()
    crew.send_signal(signal.SIGINT)
    assert crew.stdout.readline() == b"told\n"
    assert hanging.is_running() and crew.poll() is None
    crew.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in crew.communicate(timeout=PATIENCE)[1].decode()
    assert not psutil.wait_procs([hanging], timeout=PATIENCE)[1]


def test_processes_that_cannot_be_spread_are_refused(arguments):
    for nodes, reason in ((2, "error: 3 processes on 2 nodes"), (3, "error: 3 nodes are for jobs of SLURM")):
        process = start(arguments({}, RUN, processes=3, nodes=nodes))
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and said.splitlines()[-1].startswith(reason)
