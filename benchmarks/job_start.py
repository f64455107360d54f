"""Start of a job that needs torch, diffusers and peft: as a plain process, and as a fork of a warm one. Prints JSON."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import resource
from pnapo.backbones import load_backbone
from pnapo.training import train
from diffusers import SD3Transformer2DModel
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


def start(script: Path, client: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the script has imported everything and ended: by the clock, and of its own CPU time."""
    began = time.perf_counter()
    command = [sys.executable, *client, str(script)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, float(done.stdout.split()[-1])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args(argv).repeats
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        script = Path(folder) / "job.py"
        script.write_text(SCRIPT)
        owner = {"PNAPO_WARM_OWNER": str(os.getpid()), "XDG_RUNTIME_DIR": folder}
        environment = {**os.environ, **owner, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        warm = ["-I", "-S", "pnapo/warm/client.py"]
        first = start(script, warm, environment)  # the server imports
        times: dict[str, list[tuple[float, float]]] = {"plain": [], "warm": []}
        for _ in range(repeats):
            times["plain"].append(start(script, [], environment))
            times["warm"].append(start(script, warm, environment))
    wall = {kind: statistics.median(clock for clock, _ in found) for kind, found in times.items()}
    cpu = {kind: statistics.median(own for _, own in found) for kind, found in times.items()}
    rounded = {"seconds": wall, "cpu_seconds": cpu}
    print(
        json.dumps(
            {
                "name": "job start",
                **{name: {k: round(v, 3) for k, v in values.items()} for name, values in rounded.items()},
                "first_warm_seconds": round(first[0], 3),
                "ratio": round(wall["plain"] / wall["warm"], 1),
                "repeats": repeats,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
