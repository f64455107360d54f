"""`make bench`: run the benchmarks one after the other, and write their figures as JSON and as the table of the docs."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- figures: `make bench` writes what follows -->", "<!-- end of figures -->"


def measure(script: str, *arguments: str) -> dict:
    """The JSON that one benchmark prints; its errors go to the screen."""
    print(f"measuring {script} {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / f"{script}.py"), *arguments]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def rows(found: dict[str, dict]) -> Iterator[tuple[str, str, str, str, str]]:
    """What is measured, its figure, what it is compared with, the ratio, and the goal."""
    start = found["job_start"]
    yield (
        "start of a job that needs torch, diffusers and peft",
        f"{start['seconds']['warm']:.2f} s warm",
        f"{start['seconds']['plain']:.1f} s as a plain process",
        f"{start['ratio']:.0f} × faster",
        "≤ 0.5 s",
    )
    plan = found["plan"]
    yield f"`snakemake -n` of {plan['jobs']:,} jobs", f"{plan['seconds']:.1f} s", "", "", "≤ 10 s"
    for model in found["training_step"]["models"].values():
        what = f"training step of 16 pairs, {model['parameters'] / 1e6:.0f} M parameters, reference cached"
        cached = f"{model['cached_seconds']:.3f} s"
        yield (
            what,
            cached,
            f"{model['policy_seconds']:.3f} s policy alone; {model['uncached_seconds']:.3f} s uncached",
            f"{model['cached_per_policy_paired']:.2f} of policy alone",
            "≤ 1.05",
        )
        peer = f"{model['two_adapters_seconds']:.3f} s with policy and reference as two adapters (flow_grpo's shape)"
        yield "the same", cached, peer, f"{model['two_adapters_per_cached']:.2f} × faster", ""
    made, scored = found["generation"], found["scoring"]
    yield (
        f"{made['images']} images of the embedded world, {made['steps']} steps, from prompts to PNGs",
        f"{made['seconds_per_image']['ours']:.3f} s an image",
        f"{made['seconds_per_image']['pipeline']:.3f} s with a diffusers pipeline call for each prompt",
        f"{made['ratio']:.1f} × faster",
        "",
    )
    yield (
        f"HPS of {scored['images']} images of {scored['side']} px, {scored['model']}",
        f"{scored['seconds_per_image']['ours']:.2f} s an image, {scored['seconds_to_load_once']:.0f} s to load it once",
        f"{scored['seconds_per_image']['hpsv2']:.2f} s with `hpsv2.score` for each image",
        f"{scored['ratio']:.1f} × faster, scores equal to {scored['largest_difference']:.0e}",
        "",
    )
    near = found["near_duplicates"]
    peer = near["peer"]
    yield (
        f"near-duplicates of {peer['prompts']:,} prompts",
        f"{peer['cpu_seconds']['ours']:.2f} CPU-s, {peer['removed']['ours']:,} removed",
        f"{peer['cpu_seconds']['datasketch']:.1f} CPU-s, {peer['removed']['datasketch']:,} removed by datasketch",
        f"{peer['ratio']:.0f} × faster",
        "≥ 10 ×",
    )
    yield (
        f"near-duplicates of {near['prompts']:,} prompts",
        f"{near['seconds']:.1f} s, {near['peak_gib']:.2f} GiB",
        f"brute force on {near['sample']} rows",
        f"precision {near['precision']:.3f}, recall {near['recall']:.3f}",
        "≥ .99, ≥ .95",
    )
    semantic = found["semantic"]
    yield (
        f"semantic duplicates of {semantic['embeddings'][0]:,} embeddings of {semantic['embeddings'][1]}",
        f"{semantic['seconds']:.0f} s, k-means {semantic['clusters_seconds']:.0f} s, {semantic['peak_gib']:.2f} GiB",
        f"brute force on {semantic['sample']} rows",
        f"{semantic['wrong_in_sample']} wrong",
        "0 wrong",
    )
    growth = found["growth"]
    for name, stage in growth["stages"].items():
        seconds = " → ".join(f"{value:.2f}" for value in stage["cpu_seconds"])
        sizes = " → ".join(f"{count:,}" for count in growth["prompts"])
        yield f"{name}, {sizes} prompts", f"{seconds} CPU-s", "", f"n^{stage['exponent']:.2f}", "≤ n^1.1"


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
        "generation": measure("generation"),
        "scoring": measure("scoring"),
        "near_duplicates": measure("near_duplicates", "--peer", "20000", *given),
        "semantic": measure("semantic"),
        "plan": measure("plan"),
        "growth": measure("growth", *given),
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
