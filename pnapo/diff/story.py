"""The files of a results folder in the order in which one hangs on the other, and what is left out of a comparison."""

import re
from pathlib import Path

from pnapo.errors import UserError

# Clocks and costs, and what shows them: they differ between two runs of one workflow.
CLOCKS = (
    *(r"logs/.*", r"benchmarks/.*", r"trust/.*", r"provenance\.json", r"report\.html", r"tables/compute\..*"),
    *(r"report\.manifest\.json", r"(.*/)?(compute|cost)\.json", r"(.*/)?speed\.jsonl"),
)

_LISTS = ("source", "truth", "all", "safe.removed", "safe", "unique.removed", "unique", "distinct.removed", "distinct")
# Each stage of the story: its name, and its files, in order. The first pattern that fits a path below the folder counts.
STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("world", (r"world/.*",)),
    (
        "prompts",
        (
            *(rf"prompts/{re.escape(name)}\.parquet" for name in _LISTS),
            *(r"prompts/embeddings\.safetensors", r"prompts/clustered\.parquet", r"prompts/.*", r"datasets/.*"),
            *(r"pairs/.*/prompts\.parquet", r"testsets/.*"),
        ),
    ),
    ("embeddings", (r"embeddings/.*",)),
    ("pairs", (r"pairs/.*/samples/.*", r"pairs/(?!.*/(images|labels)/).*", r"pairs/.*/images/.*")),
    ("labels", (r"pairs/.*/labels/.*",)),
    ("reference errors", (r"reference/.*",)),
    ("trainings", (r"runs/.*/train_log\.jsonl", r"runs/.*\.safetensors", r"runs/.*")),
    ("images", (r"images/.*",)),
    ("scores", (r"scores/.*",)),
    ("choices and measurements", (r"tuning/.*", r"lab/.*")),
    ("tables", (r"tables/.*\.csv", r"tables/.*", r"metrics\.json", r"curves/.*", r"figures/.*")),
    ("others", (r".*",)),
)


def is_clock(path: str) -> bool:
    """Whether a path below a results folder holds what may differ between two runs."""
    return any(re.fullmatch(pattern, path) for pattern in CLOCKS)


def place(path: str) -> tuple[int, int, str]:
    """Where a path below a results folder stands in the story: number of its stage, rank in it, the path."""
    for number, (_, patterns) in enumerate(STAGES):
        for rank, pattern in enumerate(patterns):
            if re.fullmatch(pattern, path):
                return number, rank, path
    raise AssertionError(path)


def files_below(folder: Path) -> list[str]:
    """The paths of all files below a results folder, hidden ones left out. Raises UserError if it is no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give two results folders")
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    names = [path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)]
    if not names:
        raise UserError(f"{folder}: holds no files; give two results folders")
    return names
