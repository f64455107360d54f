"""Compare two results folders in the order of the story."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnapo.artifacts import read_manifest, sha256
from pnapo.artifacts.seal import read_seal
from pnapo.diff.contents import differences
from pnapo.diff.settings import parted, recorded
from pnapo.diff.story import STAGES, files_below, is_clock, place
from pnapo.errors import UserError


@dataclass
class Stage:
    """One stage of the story: how many files are in both, and what differs, in order, as "PATH: how"."""

    name: str
    equal: int = 0
    different: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # "PATH: only in A"

    @property
    def parts(self) -> bool:
        """Whether the runs differ here."""
        return bool(self.different or self.missing)


@dataclass
class Comparison:
    """Two results folders: the configuration, then each stage that has files; what was left out; notes that part nothing."""

    stages: list[Stage]
    left_out: int
    notes: list[str]

    @property
    def first(self) -> Stage | None:
        """Where the two first part."""
        return next((stage for stage in self.stages if stage.parts), None)


def compare(one: Path, other: Path) -> Comparison:
    """Compare two results folders. Raises UserError if one is none, or a file cannot be read."""
    names = [set(files_below(folder)) for folder in (one, other)]
    kept = {name for name in names[0] | names[1] if not is_clock(name)}
    hashes = [_Hashes(folder, found & kept) for folder, found in zip((one, other), names)]
    configuration = _configuration(one, other, hashes)
    stages = [Stage(name) for name, _ in STAGES]
    for number, _, name in sorted(map(place, kept)):
        stage = stages[number]
        here = [name in found for found in names]
        if not all(here):
            stage.missing.append(f"{name}: only in {one if here[0] else other}")
        elif hashes[0].of(name) == hashes[1].of(name):
            stage.equal += 1
        elif how := differences(one / name, other / name):
            stage.different.append(f"{name}: {how}")
        else:
            stage.equal += 1
    told = [stage for stage in stages if stage.equal or stage.parts]
    return Comparison([configuration, *told], len(names[0] | names[1]) - len(kept), list(_notes(hashes)))


class _Hashes:
    """The hash of every file of a results folder: as its manifest or its seal says; of a file with neither, of its bytes."""

    def __init__(self, folder: Path, names: set[str]):
        self._folder, self._known = folder, {}
        self.manifests: dict[str, dict[str, Any]] = {}
        for name in sorted(names):
            if not name.endswith(".json"):
                continue
            try:
                self.manifests[name] = manifest = read_manifest(folder / name)
            except UserError:
                continue
            for listed, entry in manifest["files"].items():
                self._known[(Path(name).parent / listed).as_posix()] = entry["sha256"]

    def of(self, name: str) -> str:
        if name not in self._known:
            seal = read_seal(self._folder / name)
            self._known[name] = seal.digest if seal else sha256(self._folder / name)
        return self._known[name]


def _configuration(one: Path, other: Path, hashes: list[_Hashes]) -> Stage:
    """What was asked for: the settings in manifests that both have, then what Snakemake recorded of other outputs."""
    stage = Stage("configuration")
    shared = hashes[0].manifests.keys() & hashes[1].manifests.keys()
    for _, _, name in sorted(map(place, shared)):
        _add(stage, name, *(found.manifests[name]["settings"] for found in hashes))
    records = [recorded(folder) for folder in (one, other)]
    for _, _, name in sorted(map(place, records[0].keys() & records[1].keys())):
        if name not in shared and not is_clock(name):
            values = [dict(enumerate(found[name]["parameters"], 1)) for found in records]
            _add(stage, name, *values)
    return stage


def _add(stage: Stage, name: str, one: Any, other: Any) -> None:
    found = list(parted(one, other))
    stage.equal += not found
    stage.different += [f"{name}: {text}" for text in found]


def _notes(hashes: list[_Hashes]) -> Iterator[str]:
    """Versions of packages in which the manifests of both differ: that alone parts nothing."""
    found: dict[str, None] = {}
    for name in sorted(hashes[0].manifests.keys() & hashes[1].manifests.keys()):
        for text in parted(*(found.manifests[name].get("versions", {}) for found in hashes)):
            found[text] = None
    yield from (f"versions differ: {text}" for text in found)
