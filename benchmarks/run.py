"""`make bench`: run the benchmarks one after the other, and write their figures as JSON and as the table of the docs."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- figures: `make bench` writes what follows -->", "<!-- end of figures -->"


def measure(script: str, *arguments: str) -> dict:
    """The JSON that one benchmark prints; its errors go to the screen."""
    print(f"measuring {script} {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / f"{script}.py"), *arguments]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def rows(found: dict[str, dict]) -> list[tuple[str, str, str, str, str]]:
    """What is measured, its figure, what it is compared with, the ratio, and the goal."""
    start, step, near = found["job_start"], found["training_step"]["models"], found["near_duplicates"]
    seconds, peer, growth = start["seconds"], near["peer"], near["growth"]
    table = [
        (
            "start of a job that needs torch, diffusers and peft",
            f"{seconds['warm']:.2f} s warm",
            f"{seconds['plain']:.1f} s as a plain process",
            f"{start['ratio']:.0f} × faster",
            "≤ 0.5 s",
        )
    ]
    for model in step.values():
        table.append(
            (
                f"training step of 16 pairs, {model['parameters'] / 1e6:.0f} M parameters, reference cached",
                f"{model['cached_seconds']:.3f} s",
                f"{model['policy_seconds']:.3f} s policy alone; {model['uncached_seconds']:.3f} s uncached",
                f"{model['cached_per_policy_paired']:.2f} of policy alone",
                "≤ 1.05",
            )
        )
    table += [
        (
            f"near-duplicates of {peer['prompts']:,} prompts",
            f"{peer['cpu_seconds']['ours']:.2f} CPU-s, {peer['removed']['ours']:,} removed",
            f"{peer['cpu_seconds']['datasketch']:.1f} CPU-s, {peer['removed']['datasketch']:,} removed by datasketch",
            f"{peer['ratio']:.0f} × faster",
            "≥ 10 ×",
        ),
        (
            f"near-duplicates of {near['prompts']:,} prompts",
            f"{near['seconds']:.1f} s, {near['peak_gib']:.2f} GiB",
            f"brute force on {near['sample']} rows: precision {near['precision']:.3f}, recall {near['recall']:.3f}",
            f"cost grows as n^{growth['exponent']:.2f}",
            "≥ .99, ≥ .95, ≤ 1.1",
        ),
    ]
    return table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--prompts", help="a text file with a real prompt in each line")
    args = parser.parse_args(argv)
    given = ["--prompts", args.prompts] if args.prompts else []
    found = {
        "job_start": measure("job_start"),
        "training_step": measure("training_step", "--repeats", "15"),
        "near_duplicates": measure("near_duplicates", "--peer", "20000", "--growth", *given),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    head = ("what", "figure", "beside", "ratio", "goal")
    table = "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows(found)))
    before, _, rest = args.page.read_text("utf-8").partition(BEGIN)
    args.page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")
    print(table)


if __name__ == "__main__":
    main()
