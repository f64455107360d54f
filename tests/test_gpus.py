"""Every process of this user takes another GPU; pretended ones, by their names in the environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pnapo import gpus
from pnapo.scripting import pick_device

ROOT = Path(__file__).parents[1]
HOLDER = """
import sys
from pnapo import gpus
print(",".join(gpus.lease(int(sys.argv[1]))), gpus.os.environ.get("CUDA_VISIBLE_DEVICES"), "torch" in sys.modules, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holders(tmp_path):
    """holder(count, **environment) starts a process that takes GPUs, and returns it and what it took."""
    started = []

    def holder(count=1, visible="0,1,2", **more):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
        environment = {
            k: v for k, v in environment.items() if k not in ("LOCAL_RANK", "SLURM_JOB_ID", gpus.VISIBLE)
        } | more
        if visible is not None:
            environment[gpus.VISIBLE] = visible
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(
            subprocess.Popen([sys.executable, "-c", HOLDER, str(count)], env=environment, text=True, **pipes)
        )
        taken, shown, torch = started[-1].stdout.readline().strip("\n").split(" ")
        assert torch == "False" and (taken == shown or not taken)
        return started[-1], taken

    yield holder
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_jobs_side_by_side_take_others_and_then_share(holders):
    first = holders()
    assert [first[1], holders()[1], holders()[1]] == ["0", "1", "2"]
    assert [holders()[1], holders()[1]] == ["0", "1"]  # more than GPUs: the user has asked for that
    first[0].kill()
    first[0].wait()
    assert holders()[1] == "0"  # a killed process holds nothing


def test_a_training_takes_as_many_as_it_has_processes(holders):
    assert holders()[1] == "0"
    assert holders(2)[1] == "1,2"
    assert holders(2)[1] == "0,1"  # on the second places
    assert holders(4)[1] == "0,1,2"  # too few: the training says so itself
    assert holders(3)[1] == "2,0,1"


def test_what_is_hidden_is_not_taken(holders):
    assert holders(visible="2,0")[1] == "2"
    assert holders(visible="2")[1] == "2"
    assert holders(visible="GPU-5d, GPU-7e")[1] == "GPU-5d"
    for none in ("", "-1", "-1,0"):
        assert holders(visible=none)[1] == ""


def test_launched_processes_and_clusters_keep_what_they_were_given(holders):
    assert holders(1, LOCAL_RANK="1")[1] == "0,1,2"
    assert holders(1, visible="0", SLURM_JOB_ID="7")[1] == "0"
    assert holders(1, visible="0,1", SLURM_JOB_ID="8")[1] == "0"  # another GPU, though it has the same name
    assert holders(1, visible="0,1", SLURM_JOB_ID="8")[1] == "1"


def test_without_the_variable_the_driver_is_asked(holders, tmp_path):
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho GPU-aa\necho GPU-bb\n")
    program.chmod(0o755)
    assert [holders(visible=None, PATH=f"{program.parent}:{os.environ['PATH']}")[1] for _ in "ab"] == [
        "GPU-aa",
        "GPU-bb",
    ]
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    assert holders(visible=None, PATH=f"{program.parent}:{os.environ['PATH']}")[1] == ""


def test_the_log_says_once_which_device_it_is(monkeypatch, capsys):
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert pick_device("cpu") == "cpu"
    assert capsys.readouterr().err == "device: cpu, 1 thread\n"


def test_the_workflow_runs_as_many_jobs_with_models_as_there_are_gpus(tmp_path):
    def told(visible, *more):
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "1",
            "--config",
            f"results={tmp_path}/{visible}{len(more)}",
        ]
        command += [*more, "--", f"{tmp_path}/{visible}{len(more)}/tables/kl.csv"]
        environment = {**os.environ, gpus.VISIBLE: visible, "PNAPO_WARM": "0"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return re.findall(r"^Provided resources: .*\bgpu\D+(\d+)", done.stdout, re.M)

    assert told("0,1") == ["2"]
    assert told("0", "--resources", "gpu=3") == ["3"]
    assert told("") == []
