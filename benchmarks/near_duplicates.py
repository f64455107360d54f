"""Near-duplicates among many prompts, made from a list of real ones by seeded edits. Prints JSON.

Each prompt is a real one, or one that was edited: words exchanged for others of the list, an ending added, or its words or
phrases put in another order. `--sample` rows are checked against brute force: a row has to go if and only if a row that
stays before it reaches the threshold. `--peer N` runs datasketch (MinHash LSH, verified) on the first N of them too.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

ENDINGS = (
    "trending on artstation, highly detailed, digital painting, sharp focus",
    "8 k, octane render, cinematic lighting",
    "by greg rutkowski and alphonse mucha",
    "masterpiece",
)


def edited(prompts: list[str], count: int, seed: int) -> list[str]:
    """`count` prompts: the given ones first, then edits of random ones."""
    rng = np.random.default_rng(seed)
    split = [prompt.split() for prompt in prompts]
    pool = [word for words in split for word in words]
    found = prompts[:count]
    sources, kinds = rng.integers(len(prompts), size=count), rng.integers(4, size=count)
    for source, kind in zip(sources[len(found) :], kinds[len(found) :]):
        words = list(split[source])
        if kind == 0:
            for place in rng.integers(len(words), size=rng.integers(1, 4)):
                words[place] = pool[rng.integers(len(pool))]
        elif kind == 1:
            words.append(", " + ENDINGS[rng.integers(len(ENDINGS))])
        elif kind == 2:
            words = [words[k] for k in rng.permutation(len(words))]
        else:
            cut = int(rng.integers(len(words)))
            words = words[cut:] + words[:cut] + [pool[k] for k in rng.integers(len(pool), size=rng.integers(0, 5))]
        found.append(" ".join(words))
    return found


def real_prompts(path: Path | None) -> list[str]:
    """The lines of a file, or without one the world's raw prompts."""
    if path:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    from pnapo.config.schema import Source
    from pnapo.world.raw_prompts import write_raw

    return list(write_raw(Source(rows=1800))[0]["prompt"])


def brute_force(sets, partner: np.ndarray, threshold: float, sample: int, seed: int) -> tuple[float, float]:
    """Precision and recall of the decisions on a sample of rows, each compared with all rows that stay before it."""
    from scipy.sparse import csr_matrix

    columns = (sets.keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    shape = (len(sets.sizes), int(columns.max()) + 1)
    matrix = csr_matrix((np.ones(len(columns), np.int32), columns, sets.offsets), shape=shape)
    rows = np.sort(np.random.default_rng(seed).choice(shape[0], min(sample, shape[0]), replace=False))
    stays, has, gone = partner < 0, np.zeros(len(rows), bool), partner[rows] >= 0
    turned = matrix.T.tocsr()
    for number, row in enumerate(rows):
        shared = (matrix[row] @ turned).tocoo()
        other, overlap = shared.coords[1], shared.data
        similarity = overlap / (sets.sizes[row] + sets.sizes[other] - overlap)
        has[number] = ((similarity >= threshold) & (other < row) & stays[other]).any()
    return float((has & gone).sum() / max(1, gone.sum())), float((has & gone).sum() / max(1, has.sum()))


def datasketch_removes(prompts: list[str], ngram: int, threshold: float) -> int:
    """How many prompts datasketch's LSH removes by the same rule, candidates verified."""
    from datasketch import MinHash, MinHashLSH

    from pnapo.prompts.shingles import jaccard, shingles

    index, kept, removed = MinHashLSH(threshold=threshold, num_perm=128), {}, 0
    for row, prompt in enumerate(prompts):
        items = shingles(prompt, ngram)
        sketch = MinHash(num_perm=128)
        sketch.update_batch([item.encode("utf-8", "surrogatepass") for item in items])
        if any(jaccard(items, kept[other]) >= threshold for other in index.query(sketch)):
            removed += 1
        else:
            kept[row] = items
            index.insert(row, sketch)
    return removed


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prompts", type=Path, help="a text file with a prompt in each line; else the world's raw prompts"
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--peer", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    from pnapo.config.schema import NearDuplicates
    from pnapo.prompts.near_duplicates import duplicates
    from pnapo.prompts.shingles import shingle_sets

    settings = NearDuplicates()
    prompts = edited(real_prompts(args.prompts), args.count, args.seed)
    began = time.perf_counter(), time.process_time()
    sets = shingle_sets(prompts, settings.ngram)
    middle = time.perf_counter()
    partner, _ = duplicates(sets, settings.threshold)
    ended = time.perf_counter(), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    precision, recall = brute_force(sets, partner, settings.threshold, args.sample, args.seed)
    found = {
        "name": "near-duplicates",
        "prompts": len(prompts),
        "removed": int((partner >= 0).sum()),
        "seconds": round(ended[0] - began[0], 2),
        "of_which_shingles": round(middle - began[0], 2),
        "cpu_seconds": round(ended[1] - began[1], 2),
        "peak_gib": round(peak, 2),
        "sample": args.sample,
        "precision": precision,
        "recall": recall,
    }
    if args.peer:
        part = prompts[: args.peer]
        began = time.process_time()
        ours = int((duplicates(shingle_sets(part, settings.ngram), settings.threshold)[0] >= 0).sum())
        middle = time.process_time()
        theirs = datasketch_removes(part, settings.ngram, settings.threshold)
        spent = {"ours": middle - began, "datasketch": time.process_time() - middle}
        found["peer"] = {
            "prompts": len(part),
            "removed": {"ours": ours, "datasketch": theirs},
            "cpu_seconds": {name: round(value, 2) for name, value in spent.items()},
            "ratio": round(spent["datasketch"] / spent["ours"], 1),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
