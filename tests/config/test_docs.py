"""The generated reference says what the schema says."""

from pathlib import Path

import pytest

from pnapo.config import docs, schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", docs.generated())
def test_generated_files_do_not_drift(name):
    assert (ROOT / name).read_text("utf-8") == docs.generated()[name], "the schema has changed: run `pnapo config docs`"


def test_every_setting_has_a_meaning():
    rows = [line for line in docs.reference().splitlines() if line.startswith("| `")]
    assert rows and not [row for row in rows if row.endswith("|  |")]


def test_ranges_choices_and_places_are_in_words():
    text = docs.reference()
    assert "| `threshold` | number ≥ 0, ≤ 1 | `0.95` |" in text
    assert "| `reward_scale` | `auto`, `raw` or number > 0 | `100.0` |" in text
    assert "| `labels` | list of text, at least 1 |" in text
    assert "In the file: `runs.NAME.on.NAME`." in text and "In the file: `prompts.clusters`." in text
    for choice in schema.ScheduleName.__args__:
        assert f"`{choice}`" in text.split("## Config")[0]
