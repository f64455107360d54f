"""Snakemake's records of what made each output, carried in git: `results/provenance.json`.

Snakemake keeps them in .snakemake/, which does not travel, so that in a fresh clone it would take everything for outdated,
or know nothing of changed settings. `save` collects them under the hash of each output, beside those of its earlier
versions; `restore` gives Snakemake the record of the version that is there, and sets its time to when it was made. So a clone
knows what it pulled, and results that DVC brings back after a setting was reverted are known again.
"""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, NamedTuple

from pnapo.artifacts import read_json, read_record, sha256, write_record, write_text
from pnapo.errors import UserError

NAME = "provenance.json"
FORMAT = 6  # of Snakemake's records, as Snakemake 9.27 writes them
FOLDER = Path(".snakemake") / "metadata"
ENVIRONMENT = "conda_env"  # the same long text in most records


class Restored(NamedTuple):
    """How many outputs have their record again, how many are not here, and which differ from what was recorded."""

    known: int
    absent: int
    different: list[str]


def _record(output: str) -> Path:
    """Where Snakemake keeps the record of an output: its path in base64, long ones in folders."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return FOLDER.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _records() -> dict[str, dict[str, Any]]:
    """The complete records of this folder by output."""
    found = {}
    for file in FOLDER.rglob("*") if FOLDER.is_dir() else ():
        if file.is_file():
            name = "".join(part.removeprefix("@") for part in file.relative_to(FOLDER).parts)
            record = read_json(file)
            if not record.get("incomplete"):
                found[urlsafe_b64decode(name).decode()] = record
    return found


def save(path: Path | str) -> int:
    """Add the records of all outputs that are here to those that are saved.

    Returns how many were found here. Raises UserError if Snakemake's records are not of the format that this knows.
    """
    path = Path(path)
    saved = _read(path) if path.exists() else {"outputs": {}, "environments": {}}
    outputs, environments, count = saved["outputs"], saved["environments"], 0
    for output, record in sorted(_records().items()):
        if not os.path.isfile(output):
            continue
        if record.get("record_format_version") != FORMAT:
            raise UserError(
                f"{_record(output)}: Snakemake's record has format {record.get('record_format_version')}, not {FORMAT}; "
                "use the Snakemake of requirements.lock"
            )
        text = record.pop(ENVIRONMENT, None)
        if text:
            record[ENVIRONMENT] = next((k for k, v in environments.items() if v == text), str(len(environments)))
            environments[record[ENVIRONMENT]] = text
        outputs.setdefault(output, {})[sha256(output)] = record
        count += 1
    write_record(path, {"format": FORMAT, "environments": environments, "outputs": outputs})
    return count


def restore(path: Path | str) -> Restored:
    """Give Snakemake the saved records of the outputs that are here and unchanged. Raises UserError for a damaged file."""
    saved, known, absent, different = _read(Path(path)), 0, 0, []
    for output, versions in saved["outputs"].items():
        here = os.path.isfile(output)
        newest = max(versions.values(), key=lambda record: record["endtime"])
        # Also of what is not here: Snakemake then knows that nothing has changed that it would have to be made from.
        record = versions.get(sha256(output)) if here else newest
        if record is None:
            different.append(output)
            continue
        environment = {ENVIRONMENT: saved["environments"][record[ENVIRONMENT]]} if ENVIRONMENT in record else {}
        file, text = _record(output), json.dumps(record | environment)
        if not file.exists() or file.read_text("utf-8") != text:
            write_text(file, text)
        if here:
            # Of a link, the link's own time: what it points to may be shared.
            os.utime(output, (record["endtime"],) * 2, follow_symlinks=not os.path.islink(output))
        known, absent = known + here, absent + (not here)
    return Restored(known, absent, different)


def _read(path: Path) -> dict[str, Any]:
    saved = read_record(path)
    if saved.get("format") != FORMAT:
        raise UserError(f"{path}: not the records that this version saves; run `snakemake` to make it again")
    return saved
