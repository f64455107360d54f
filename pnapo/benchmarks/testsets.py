"""Test prompts from files: plain lists, and GenEval's metadata."""

import json
from pathlib import Path

import pandas as pd

from pnapo.artifacts import prompt_id
from pnapo.prompts.sources import load_prompts

COLUMNS = ("prompt_id", "prompt", "geneval", "scene")


def _geneval_entries(path: Path) -> dict[str, str]:
    """Prompt → metadata as JSON, for a GenEval .jsonl; empty for any other file."""
    if path.suffix.lower() != ".jsonl":
        return {}
    entries = {}
    for line in filter(str.strip, path.read_text("utf-8").split("\n")):  # only line feeds separate entries
        entry = json.loads(line)
        if isinstance(entry, dict) and {"tag", "include", "prompt"} <= entry.keys():
            entries.setdefault(entry["prompt"], json.dumps(entry, sort_keys=True))
    return entries


def read_testset(path: Path | str, column: str = "prompt", count: int | None = None) -> pd.DataFrame:
    """The first `count` distinct prompts of a list: columns prompt_id, prompt, geneval (JSON or ""), scene ("").

    Raises UserError if the file is missing, damaged or empty, or lacks the column.
    """
    table = load_prompts(path, column)
    entries = _geneval_entries(Path(path))
    prompts = list(table["prompt"])[:count]
    return pd.DataFrame(
        {
            "prompt_id": [prompt_id(text) for text in prompts],
            "prompt": prompts,
            "geneval": [entries.get(text, "") for text in prompts],
            "scene": "",
        },
        columns=list(COLUMNS),
    )
