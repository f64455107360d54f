"""Score files as the benchmarks write them."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from pnapo.artifacts import write_table

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"


@pytest.fixture
def put(tmp_path):
    """put(policy, {prompt_id: [score of each sample]}, metric=…, tags={prompt_id: task}) writes a score file."""

    def write(policy, scores, metric="hps", testset="heldout", backbone="sd3", tags=None, reverse=False, detector=None):
        rows = [(p, k, float(s)) for p, values in scores.items() for k, s in enumerate(values)]
        frame = pd.DataFrame(rows, columns=["prompt_id", "sample", "score"])
        if tags:
            frame["tag"] = frame["prompt_id"].map(tags)
            frame["correct"] = frame["score"] > 0.5
        if detector:
            frame["detector"] = detector
        path = tmp_path / "scores" / backbone / policy / testset / f"{metric}.parquet"
        write_table(path, frame[::-1] if reverse else frame)
        return path

    return write


@pytest.fixture
def script():
    """script(name, *arguments) runs a workflow script's main."""

    def run(name, *arguments):
        runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]([str(a) for a in arguments])

    return run
