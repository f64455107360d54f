"""Test prompts from files: plain lists, and GenEval's metadata."""

import json
from pathlib import Path

import pandas as pd

from pnapo.artifacts import prompt_id
from pnapo.benchmarks.geneval import problem
from pnapo.errors import UserError
from pnapo.prompts.sources import load_prompts

COLUMNS = ("prompt_id", "prompt", "geneval", "scene")


def _geneval_entries(path: Path) -> dict[str, str]:
    """Prompt → metadata as JSON, for a GenEval .jsonl; empty for any other file.

    Checked here, since the images would have been made before `judge` stumbles over an entry.
    """
    if path.suffix.lower() != ".jsonl":
        return {}
    entries = {}
    with open(path, encoding="utf-8-sig") as handle:  # line ends only: U+2028 and the like may stand in a prompt
        for number, line in enumerate(handle, start=1):
            entry = json.loads(line) if line.strip() else None
            if isinstance(entry, dict) and {"tag", "include", "prompt"} <= entry.keys():
                reason = problem(entry)
                if reason:
                    raise UserError(f"{path}: line {number} is not an entry of a GenEval list: {reason}")
                entries.setdefault(str(entry["prompt"]), json.dumps(entry, sort_keys=True))
    return entries


def read_testset(path: Path | str, column: str = "prompt", count: int | None = None) -> pd.DataFrame:
    """The first `count` distinct prompts of a list: columns prompt_id, prompt, geneval (JSON or ""), scene ("").

    Raises UserError if the file is missing, damaged or empty, lacks the column, or holds a GenEval entry without sense.
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
