"""Test prompts from files: plain lists (HPDv2's four, PartiPrompts, Open Image Preferences), and GenEval's metadata."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pnapo.benchmarks.geneval import problem
from pnapo.errors import UserError
from pnapo.prompts.sources import load_prompts

COLUMNS = ("prompt_id", "prompt", "geneval", "scene", "category")


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


def read_testset(
    path: Path | str | Sequence[str], column: str = "prompt", count: int | None = None, category: str | None = None
) -> pd.DataFrame:
    """The first `count` distinct prompts of a list, or of several one after the other.

    Columns prompt_id, prompt, geneval (JSON or ""), scene ("") and category: that of the column `category`, else of several
    lists the name of the file without suffix, else "". A prompt in several lists belongs to the first.

    Raises UserError if a file is missing, damaged or empty, lacks a column, or holds a GenEval entry without sense.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    tables = []
    for file in map(Path, paths):
        table = load_prompts(file, column, [category] if category else [])
        entries = _geneval_entries(file)
        table["geneval"] = [entries.get(text, "") for text in table["prompt"]]
        kinds = table[category].fillna("").astype(str) if category else file.stem if len(paths) > 1 else ""
        tables.append(table.assign(scene="", category=kinds))
    joined = pd.concat(tables, ignore_index=True).drop_duplicates("prompt_id", ignore_index=True)
    return joined[list(COLUMNS)].head(len(joined) if count is None else count)
