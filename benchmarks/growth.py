"""How each prompt stage's cost grows with the number of prompts: CPU seconds and the fitted exponent. Prints JSON.

The prompts are those of `near_duplicates.py`; every stage sees the whole list, so that its size is the same for all, with
the models and settings of config.yaml. Loading a model is counted: it is what a job of that size costs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from near_duplicates import edited, real_prompts


def stages(prompts: list[str], folder: Path) -> dict[str, float]:
    """CPU seconds of each stage on these prompts."""
    import pandas as pd

    from pnapo.artifacts import prompt_id
    from pnapo.config.loading import load_config
    from pnapo.config.schema import Clusters, Selection
    from pnapo.prompts.clusters import cluster
    from pnapo.prompts.near_duplicates import remove_near_duplicates
    from pnapo.prompts.safety import toxicity
    from pnapo.prompts.selection import select
    from pnapo.prompts.semantic import duplicates, embed_texts, read_embeddings, write_embeddings

    config = load_config("config.yaml").prompts
    table = pd.DataFrame({"prompt_id": map(prompt_id, prompts), "prompt": prompts})
    file, spent, found = folder / "embeddings.safetensors", {}, {}

    def embed() -> np.ndarray:
        write_embeddings(file, len(prompts), embed_texts(prompts, config.semantic, "cpu"))
        return read_embeddings(file)

    for name, work in {
        "safety": lambda: toxicity(prompts, config.safety, "cpu", lambda line: None),
        "near-duplicates": lambda: remove_near_duplicates(table, config.near_duplicates),
        "embeddings": embed,
        "search": lambda: duplicates(found["embeddings"], config.semantic.threshold),
        "clusters": lambda: cluster(found["embeddings"], Clusters(count=100)),
        "selection": lambda: select(table.assign(cluster=found["clusters"]), Selection(count=len(table) // 4)),
    }.items():
        began = time.process_time()
        found[name] = work()
        spent[name] = time.process_time() - began
    search = spent.pop("search")
    spent["semantic duplicates"] = spent.pop("embeddings") + search
    return {**spent, "of which the search": search}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=Path, help="a text file with a prompt in each line")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    args = parser.parse_args(argv)

    from pnapo.scripting import limit_threads

    limit_threads()
    prompts = edited(real_prompts(args.prompts), max(args.counts), 0)
    with tempfile.TemporaryDirectory() as folder:
        stages(prompts[:200], Path(folder))  # imports
        spent = [stages(prompts[:count], Path(folder)) for count in args.counts]
    found = {}
    for name in spent[0]:
        seconds = [part[name] for part in spent]
        exponent = float(np.polyfit(np.log(args.counts), np.log(seconds), 1)[0])
        found[name] = {"cpu_seconds": [round(value, 3) for value in seconds], "exponent": round(exponent, 2)}
    print(json.dumps({"name": "growth", "prompts": args.counts, "stages": found}, indent=2))


if __name__ == "__main__":
    main()
