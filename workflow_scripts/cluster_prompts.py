"""Cluster the prompts by their CLIP text embeddings."""

import argparse

from pnapo import scripting
from pnapo.config.schema import Clusters


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", required=True, help="table with prompt_id and prompt")
    parser.add_argument("--embeddings", required=True, help="embeddings of the prompts")
    parser.add_argument("--settings", required=True, type=scripting.section(Clusters), help="prompts.clusters, as JSON")
    parser.add_argument("--out", required=True, help="table to write")
    args = parser.parse_args(argv)

    from pnapo.artifacts import read_table, write_table
    from pnapo.prompts.clusters import cluster
    from pnapo.prompts.semantic import read_embeddings

    table = read_table(args.prompts, ["prompt_id", "prompt"])
    found = cluster(read_embeddings(args.embeddings), args.settings)
    write_table(args.out, table.assign(cluster=found))


if __name__ == "__main__":
    scripting.run(main)
