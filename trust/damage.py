"""Damage every kind of file that the workflow makes: `pnapo verify` must name it, and a job that reads it must refuse it.

A small project is run to its end. Then files of every kind are damaged, one injection at a time: a flipped bit, a truncated
tail, nothing left, two files of one kind that changed places, the manifest of another run. After each, all of the results are
verified, and one job that reads the file runs as Snakemake ran it, in this process. At last one file of every kind is damaged
at once, and what `pnapo verify` tells is done: the results must be those from before, byte for byte.
"""

import argparse
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from dataclasses import dataclass
from pathlib import Path

from pnapo.artifacts import read_manifest, write_manifest
from pnapo.diff.story import is_clock
from pnapo.errors import UserError
from pnapo.verify import inside, remedy, results_of, verify
from trust.consumers import Consumers, Refusal
from trust.project import Project
from trust.promise import Promise, record, seeded

RESULTS = Path("results")
RUN = ("--cores", "2", "--")
TARGETS = ("all", "geometry")
# Kinds of files by what they are called; the first that fits counts. What lies in a folder of a backbone, run or test set is
# of one kind with what lies in the others.
KINDS = (
    *("prompts/embeddings.safetensors", "prompts/*.removed.parquet", "prompts/*.parquet", "testsets/*.parquet"),
    *("embeddings/*/manifest.json", "embeddings/*.safetensors"),
    *("pairs/*/inverted/manifest.json", "pairs/*/inverted/*.json", "pairs/*/inverted/*.safetensors"),
    *("pairs/*/truncated/manifest.json", "pairs/*/truncated/*.json", "pairs/*/truncated/*.safetensors"),
    *("pairs/*/samples/*.json", "pairs/*/samples/*.safetensors", "pairs/*/images/*.json", "pairs/*/images/*.parquet"),
    *("pairs/*/labels/*.parquet", "pairs/*/manifest.json", "reference/*.json", "reference/*.safetensors"),
    *("runs/*/snapshots/*.safetensors", "runs/*/manifest.json", "runs/*/compute.json", "runs/*/settings.json"),
    *("runs/*/train_log.jsonl", "runs/*/speed.jsonl", "runs/*/README.md", "runs/*.safetensors"),
    *("images/*/manifest.json", "images/*.parquet", "scores/*.parquet", "tuning/*.json"),
    *("lab/*.parquet", "lab/*.json", "tables/*.manifest.json", "tables/*.csv", "tables/*.md", "tables/*.tex"),
    *("curves/*.csv", "metrics.json", "provenance.json", "figures/manifest.json", "figures/*.svg", "figures/*.png"),
    *("report.html", "*.manifest.json"),
)


@dataclass
class Injection:
    """One damage: what is done, the files it changes with their content, and what was found."""

    kind: str
    what: str
    changed: dict[Path, bytes]
    found: str = ""  # why `pnapo verify` was not enough; "" if it was
    asked: str = ""  # the job that read the file; "" if none does
    refused: str = ""  # why it was not enough

    def __str__(self) -> str:
        return f"{self.what} {' and '.join(map(str, self.changed))}"


def kind_of(path: Path) -> str | None:
    """The kind of a file below the results folder; None for logs and the like."""
    name = path.relative_to(RESULTS).as_posix()
    if name.startswith(("logs/", "benchmarks/")) or any(part.startswith(".") for part in path.parts):
        return None
    return next(pattern for pattern in (*KINDS, "*") if Path(name).match(pattern) or _below(name, pattern))


def _below(name: str, pattern: str) -> bool:
    """As `fnmatch`: * stands for folders too."""
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


def injections(files: dict[str, list[Path]], each: int, draw: random.Random) -> Iterator[Injection]:
    """`each` injections of every kind, what they are in turn."""
    for kind, there in files.items():
        makers = [flipped, truncated, emptied, flipped, swapped, foreign]
        makers = [make for make in makers if _fits(make, kind, there)]
        for number in range(each):
            make = makers[number % len(makers)]
            yield Injection(kind, make.__name__, make(draw.choice(there), there, draw))


def _fits(make: Callable, kind: str, there: list[Path]) -> bool:
    if make is swapped:
        return len({path.read_bytes() for path in there}) > 1
    return make is not foreign or any(_lists_files(path) for path in there)


def _lists_files(path: Path) -> bool:
    try:
        return path.suffix == ".json" and bool(read_manifest(path)["files"])
    except UserError:
        return False


def flipped(path: Path, there: list[Path], draw: random.Random) -> dict[Path, bytes]:
    """One bit anywhere."""
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return {path: bytes(data)}


def truncated(path: Path, there: list[Path], draw: random.Random) -> dict[Path, bytes]:
    """Some of the tail is gone, often little."""
    data = path.read_bytes()
    return {path: data[: len(data) - max(1, int(len(data) * draw.random() ** 4))]}


def emptied(path: Path, there: list[Path], draw: random.Random) -> dict[Path, bytes]:
    """Nothing is left."""
    return {path: b""}


def swapped(path: Path, there: list[Path], draw: random.Random) -> dict[Path, bytes]:
    """Two of one kind have changed places."""
    others = [other for other in there if other.read_bytes() != path.read_bytes()]
    if not others:
        return swapped(draw.choice(there), there, draw)
    other = draw.choice(others)
    return {path: other.read_bytes(), other: path.read_bytes()}


def foreign(path: Path, there: list[Path], draw: random.Random) -> dict[Path, bytes]:
    """The manifest of another run: whole, of the same place, made of the same kind of files with other content."""
    path = draw.choice([path for path in there if _lists_files(path)])
    content = read_manifest(path)
    settings, listed = content.pop("settings"), list(content.pop("files"))
    content.pop("versions", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PNAPO_RESULTS"] = folder
        twin = Path(folder) / path.relative_to(RESULTS)
        for name in listed:
            file = Path(os.path.normpath(twin.parent / name))
            file.parent.mkdir(parents=True, exist_ok=True)
            data = bytearray((path.parent / name).read_bytes() or b"x")
            data[-1] ^= 1
            file.write_bytes(bytes(data))
        write_manifest(twin, content.pop("kind"), settings, listed, **content)
        del os.environ["PNAPO_RESULTS"]
        return {path: twin.read_bytes()}


class Verifier:
    """`pnapo verify results`, in this process; what was sound before and has not been touched is not looked at again."""

    def __init__(self) -> None:
        self._sound: dict[Path, set[Path]] = {}  # an artefact, and the files it stands for
        problems = list(self.problems(set()))
        if problems:
            raise RuntimeError(f"damaged before anything was done: {problems[0]}")

    def problems(self, changed: set[Path]) -> Iterator[str]:
        """The lines that `pnapo verify` prints of what is not ok."""
        found = inside(RESULTS)
        results = results_of(found)
        for path in found:
            if path in self._sound and self._sound[path].isdisjoint(changed):
                continue
            _, problems = verify(path, results)
            if not problems and not changed:
                self._sound[path] = _stands_for(path)
            yield from (f"{problem}; {remedy(path, problem, results)}" for problem in problems)


def _stands_for(path: Path) -> set[Path]:
    if path.suffix != ".json":
        return {path}
    try:
        listed = read_manifest(path)["files"]
    except UserError:
        return {path}
    return {path, *(Path(os.path.normpath(path.parent / name)) for name in listed)}


def try_out(injection: Injection, verifier: Verifier, consumers: Consumers) -> None:
    """Damage, look, undo."""
    before = {path: path.read_bytes() for path in injection.changed}
    try:
        for path, data in injection.changed.items():
            path.write_bytes(data)
        injection.found = _verdict(list(verifier.problems(set(before))), injection, consumers)
        refusal = consumers.ask(next(iter(before)), injection.what)
        if refusal:
            injection.asked, injection.refused = refusal.job, _refused(refusal, set(before))
    finally:
        for path, data in before.items():
            path.write_bytes(data)


def _verdict(problems: list[str], injection: Injection, consumers: Consumers) -> str:
    """Why what `pnapo verify` said is not enough."""
    if not problems:
        return "not found"
    named = any(line.startswith(f"{path}: ") for path in injection.changed for line in problems)
    if not named and injection.what != "foreign":  # of which the files are named: they are not those that it lists
        return f"another file is named: {problems[0]}"
    for line in problems:
        target = line.partition("run `snakemake -- ")[2].rstrip("`")
        if not consumers.made(Path(target)) and "and run `snakemake`, which" not in line:
            return f"no job makes {target or 'it'}: {line}"
    return ""


def _refused(refusal: Refusal, damaged: set[Path]) -> str:
    """Why a job's refusal is not enough. It has to name a damaged file, or the manifest that lists it."""
    if refusal.error is None:
        return "went on"
    if not isinstance(refusal.error, UserError):
        return f"ended with {type(refusal.error).__name__}: {refusal.error}"
    if "\n" in str(refusal.error):
        return f"said more than a line: {refusal.error}"
    if refusal.wrote:
        return f"wrote {refusal.wrote[0]}"
    named = {
        str(name) for path in damaged for name in (path, path.with_name("manifest.json"), path.with_suffix(".json"))
    }
    said = str(refusal.error)
    return "" if any(name in said for name in named) else f"named another file: {said}"


def mend(project: Project, files: dict[str, list[Path]], draw: random.Random, verifier: Verifier) -> str:
    """Damage one file of every kind and do what `pnapo verify` says; returns what is not as before."""
    before = {path: path.read_bytes() for there in files.values() for path in there}
    for there in files.values():
        path = draw.choice(there)
        path.write_bytes(flipped(path, there, draw)[path])
    for _ in range(3):  # a damaged manifest hides what it lists
        targets: dict[str, None] = {}
        for line in verifier.problems(set(before)):
            Path(line.partition("; delete ")[2].partition(" and run ")[0]).unlink(missing_ok=True)
            targets[line.partition("run `snakemake -- ")[2].rstrip("`") or TARGETS[0]] = None
        if not targets:
            break
        project.run(*RUN, *targets)
    project.run(*RUN, *TARGETS)
    left = list(verifier.problems(set(before)))
    other = [path for path, data in before.items() if not path.is_file() or path.read_bytes() != data]
    other = [path for path in other if not is_clock(path.relative_to(RESULTS).as_posix())]
    return (left or [f"{path}: other bytes than before" for path in other] or [""])[0]


def options(parser: argparse.ArgumentParser) -> None:
    """What the program takes beside the seed."""
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder, removed afterwards)")
    parser.add_argument("--results", type=Path, help="those of an earlier --folder, instead of making them")
    parser.add_argument("--each", type=int, default=6, help="injections of each kind of file")


def main() -> None:
    args = seeded(__doc__.partition("\n")[0], options)
    with ExitStack() as stack:
        if args.results:
            project = Project.there(args.results.absolute().parent)
        else:
            folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="damage-")))
            project = Project(folder.absolute() / "project", Path(__file__).with_name("damage.yaml"))
            project.run(*RUN, *TARGETS)
        os.environ.pop("PNAPO_RESULTS", None)
        stack.enter_context(chdir(project.folder))
        found = promises(project, args.each, random.Random(args.seed))
    record("damage", found, args.record_in)


def promises(project: Project, each: int, draw: random.Random) -> list[Promise]:
    """Damage `each` times every kind of file of a finished project, which is the working directory, then mend all kinds."""
    start, files = time.monotonic(), defaultdict(list)
    for path in sorted(RESULTS.rglob("*")):
        if path.is_file() and (kind := kind_of(path)):
            files[kind].append(path)
    verifier, consumers = Verifier(), Consumers(RESULTS, draw)
    tried = list(injections(files, each, draw))
    for one in tried:
        try_out(one, verifier, consumers)
        if one.found or one.refused:
            print(f"{one}: verify: {one.found or 'ok'}; {one.asked}: {one.refused or 'ok'}", flush=True)
    tell(tried)
    print(f"{time.monotonic() - start:.0f} s of damage", flush=True)
    asked = [one for one in tried if one.asked]
    bad, accepted = [one for one in tried if one.found], [one for one in asked if one.refused]
    left = mend(project, files, draw, verifier)
    return [
        Promise(
            "Any damaged, truncated, empty or swapped file, and a manifest of another run, is found by `pnapo verify`, "
            "which names the file, what to delete and what makes it again",
            f"{len(tried) - len(bad)} of {len(tried)} injections, {len(files)} kinds of files",
            not bad and len(tried) >= 200,
        ),
        Promise(
            "A job that reads it refuses it in one line, and writes nothing",
            f"{len(asked) - len(accepted)} of {len(asked)} injections into what a job reads, "
            f"{len({one.asked for one in asked})} scripts and commands",
            not accepted and len(asked) >= 150,
        ),
        Promise(
            "Doing what `pnapo verify` says mends it: the results are those from before, byte for byte",
            left or f"{len(files)} files, one of every kind, damaged at once",
            not left,
        ),
    ]


def tell(tried: list[Injection]) -> None:
    """The figures of each kind."""
    for kind in dict.fromkeys(one.kind for one in tried):
        these = [one for one in tried if one.kind == kind]
        asked = [one for one in these if one.asked]
        found, refused = sum(not one.found for one in these), sum(not one.refused for one in asked)
        print(f"{kind:36} found {found} of {len(these)}, refused {refused} of {len(asked)}", flush=True)


if __name__ == "__main__":
    main()
