"""How long `snakemake -n` takes for an experiment of the paper's size: two backbones, many shards, runs and seeds.

Prints JSON. The configuration is config.yaml with those numbers; nothing is run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def overlay(results: Path, runs: int, seeds: int, shards: int) -> dict:
    """What differs from config.yaml: PNAPO with `runs` values of β, each with `seeds` training seeds."""
    beta = {"path": "stored", "schedule": "dynamic", "learning_rate": 1e-6, "steps": 2000}
    made = {
        f"pnapo_{number}": {**beta, "beta": 100 * (number + 1), "seeds": list(range(seeds))} for number in range(runs)
    }
    return {
        "results": str(results),
        "backbones": ["sd3", "flux"],
        "prompts": {"source": {"rows": 1_800_000}, "selection": {"count": 20_000}},
        "pairs": {"shards": shards},
        "runs": made,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(argv)

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "paper_size.json"
        config.write_text(json.dumps(overlay(Path(folder) / "results", args.runs, args.seeds, args.shards)))
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--configfile", str(config)]
        counted = [*command[:4], "--quiet", "rules", *command[6:]]
        seconds = []
        for _ in range(args.repeats):
            began = time.perf_counter()
            subprocess.run(
                command, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
            )
            seconds.append(time.perf_counter() - began)
        told = subprocess.run(counted, cwd=ROOT, check=True, capture_output=True, text=True)
    (total,) = [line.split()[1] for line in (told.stdout + told.stderr).splitlines() if line.startswith("total ")][:1]
    median = sorted(seconds)[len(seconds) // 2]
    print(
        json.dumps({"name": "plan", "jobs": int(total), "seconds": round(median, 2), "repeats": args.repeats}, indent=2)
    )


if __name__ == "__main__":
    main()
