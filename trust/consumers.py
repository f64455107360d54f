"""The jobs that read a file, run in this process as Snakemake ran them."""

import contextlib
import io
import os
import random
import re
import runpy
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pnapo import cli
from pnapo.artifacts import read_manifest, read_record
from pnapo.errors import UserError
from pnapo.verify import BESIDE


@dataclass
class Refusal:
    """What a job did about a damaged file: its error, if any, and the files it wrote."""

    job: str
    error: BaseException | None
    wrote: list[Path]


class Consumers:
    """The jobs of a finished workflow, from what Snakemake recorded of each output."""

    def __init__(self, results: Path, draw: random.Random):
        self._results, self._draw, self._asked = results, draw, Counter()
        outputs = read_record(results / "provenance.json")["outputs"]
        records = {output: max(versions.values(), key=lambda v: v["endtime"]) for output, versions in outputs.items()}
        self._outputs = {os.path.normpath(output) for output in records}
        self._jobs: dict[str, set[str]] = {}  # an input, and the commands that read it
        for record in records.values():
            for name in record["input"]:
                self._jobs.setdefault(os.path.normpath(name), set()).add(record["shellcmd"])
        self._owner: dict[str, str] = {}  # a file that a manifest lists, and the manifest that jobs are given
        for path in sorted(results.rglob("*.json")):
            with contextlib.suppress(UserError):
                for name in read_manifest(path)["files"]:
                    listed = os.path.normpath(path.parent / name)
                    if listed not in self._outputs:
                        self._owner[listed] = str(path)

    def made(self, path: Path) -> bool:
        """Whether a job makes a file under this name."""
        return os.path.normpath(path) in self._outputs

    def ask(self, path: Path, what: str) -> Refusal | None:
        """Let a job that reads a file run; None if none does. Of several, the one that was asked the fewest times."""
        commands = list(self._reading(path))
        if not commands:
            return None
        self._draw.shuffle(commands)
        command = min(commands, key=lambda argv: self._asked[argv[0]])
        self._asked[command[0]] += 1
        return self._run(command)

    def _reading(self, path: Path) -> Iterator[list[str]]:
        name = os.path.normpath(path)
        if path.name == "provenance.json":
            yield ["pnapo", "provenance", "restore", name]
        table = Path(name.removesuffix(".manifest.json") + ".csv") if name.endswith(".manifest.json") else path
        if table.suffix == ".csv" and path.parent.name == "tables" and table.is_file():
            yield ["pnapo", "table", str(table)]
        owner = self._owner.get(name, name)
        if path.name in (*BESIDE, "speed.jsonl") and path.name != "images.parquet":
            owner = str(path.with_name("manifest.json"))
        for command in sorted(self._jobs.get(owner, ())):
            argv = shlex.split(command.partition(" > ")[0])[1:]
            if self._reads(Path(argv[0]).stem, path):
                yield argv

    def _reads(self, script: str, path: Path) -> bool:
        """Whether a job that is given a file, or the manifest that lists it, reads the file itself."""
        name = path.name
        if script == "report":  # of images a few alone, and no table in the formats that people read
            return path.parts[1] in ("testsets", "pairs") or (
                path.parts[1] == "tables" and path.suffix in (".csv", ".json")
            )
        if script in ("claims_table", "regimes_table") and path.parts[1] == "scores":
            return False  # of these, those of the claims' runs and metrics alone; the main table reads all
        if script == "compute_table":
            return name in ("compute.json", "speed.jsonl")
        if script == "curves":
            return name in ("manifest.json", "train_log.jsonl")
        if name in ("compute.json", "speed.jsonl"):
            return False
        return path.suffix not in (".md", ".tex") or path.parts[1] != "tables"

    def _run(self, argv: list[str]) -> Refusal:
        before = self._stamps()
        error: BaseException | None = None
        os.environ["PNAPO_RESULTS"] = str(self._results)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
                if argv[0] == "pnapo":
                    cli.main(argv[1:])
                else:
                    runpy.run_path(argv[0])["main"](argv[1:])
        except SystemExit as ended:  # a command has told it already
            lines = said.getvalue().strip().splitlines()
            error = UserError(lines[-1]) if ended.code == 1 and len(lines) == 1 else ended
        except BaseException as raised:
            error = raised
        finally:
            del os.environ["PNAPO_RESULTS"]
        after = self._stamps()
        wrote = [Path(name) for name in sorted(after) if after[name] != before.get(name)]
        return Refusal(
            re.sub(r"\W+", " ", Path(argv[0]).stem if argv[0] != "pnapo" else " ".join(argv[:2])), error, wrote
        )

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file of the results; what a job keeps to go on from is hidden, and no result."""
        found = {}
        for folder, folders, names in os.walk(self._results):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in (name for name in names if not name.startswith(".")):
                stat = os.stat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (stat.st_size, stat.st_mtime_ns)
        return found
