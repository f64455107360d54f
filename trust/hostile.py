"""Prompts that are programs to somebody go through the whole pipeline; every output is read back: `python -m trust.hostile`.

A copy of the project trains two tiny runs on them and tests them on them; report, tables, cards, a study and an export follow.
"""

import argparse
import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import yaml

from trust import surfaces
from trust.promise import Promise, arguments, record
from trust.sources import ROOT, copy_sources

CORPUS = runpy.run_path(str(ROOT / "tests" / "hostile" / "corpus.py"))
MARK, PROMPTS, SECRETS = CORPUS["MARK"], CORPUS["PROMPTS"], CORPUS["SECRETS"]
LED_TO = (
    "/",
    "/etc",
    "~",
    tempfile.gettempdir(),
)  # where paths among the prompts lead, beside the folders above the project


def lists(folder: Path) -> None:
    """The corpus as a list to train on, as a test set with categories, and as a GenEval list whose tags are of it."""
    words = [f"{text} a red ring {number}" for number, text in enumerate(PROMPTS)]  # those that filters leave
    frame = pd.DataFrame({"prompt": [*PROMPTS, *words], "nsfw": 0.1})
    frame.to_parquet(folder / "train.parquet")
    pd.DataFrame({"prompt": PROMPTS, "kind": PROMPTS[::-1]}).to_parquet(folder / "test.parquet")
    part = {"include": [{"class": "ring", "count": 1}]}
    tags = [*PROMPTS[::6], "a" * 3000, "{ }", "[ ]"]
    entries = pd.DataFrame([{**part, "tag": text, "prompt": f"{text} ring"} for text in tags])
    entries.to_json(folder / "geneval.jsonl", orient="records", lines=True, force_ascii=False)


def configuration() -> dict:
    """The tiny workflow of the tests, on these lists."""
    found = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text("utf-8"))
    found["name"] = f"<script>{MARK}()</script> \"'=1+1 \\{MARK} {{{{x}}}} &amp;"
    found["prompts"] |= {
        "source": {"path": "lists/train.parquet"},
        "safety": {"kind": "column", "column": "nsfw"},
        "near_duplicates": {"threshold": 1.0},
        "selection": {"count": 96},
    }
    found["prompts"]["semantic"]["threshold"] = 1.0
    found["testsets"] = {
        "nasty": {"path": "lists/test.parquet", "category": "kind", "steps": 1},
        "tagged": {"path": "lists/geneval.jsonl", "steps": 1},
    }
    found["metrics"]["hps"]["testsets"] = ["nasty"]
    found["metrics"]["geneval"]["testsets"] = ["tagged"]
    found["pairs"]["steps"] = 1
    return found


class Project:
    """A copy of the sources in a folder of its own, in an environment with secrets."""

    def __init__(self, folder: Path):
        self.folder, self.made = folder, [folder / "results", folder / "mine"]
        copy_sources(folder)
        (folder / "lists").mkdir()
        lists(folder / "lists")
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration(), allow_unicode=True), "utf-8")
        self.environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"} | SECRETS
        self.environment |= {"XDG_CACHE_HOME": str(folder / ".cache"), "PYTHONPATH": "."}
        self.said = ""

    def run(self, *arguments: str) -> None:
        """Keep what a command says; RuntimeError with its last lines if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = done.stdout.decode("utf-8", "replace")  # line ends as they are
        self.said += said
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {said[-2000:]}")

    def make(self) -> None:
        """Everything that is written of prompts."""
        self.run("snakemake", "--cores", "2", "--quiet", "host", "reason")
        for run in ("pnapo-s0", "base"):
            images = f"results/images/sd3/{run}/nasty/manifest.json"
            if not (self.folder / images).is_file():
                raise RuntimeError(f"{images} was not made")
        study = (
            "--backbone",
            "sd3",
            "--runs",
            "pnapo-s0",
            "base",
            "--testset",
            "nasty",
            "--pairs",
            str(len(PROMPTS) // 2),
        )
        self.run("pnapo", "study", "make", *study, "--out", "mine/study.html")
        self.run("pnapo", "export", "pairs", "results/pairs/sd3", "--out", "mine/exported")
        self.run("pnapo", "import", "pairs", "mine/exported", "--out", "mine/imported")
        given = ("--model", "sd3", "--prompts", "lists/test.parquet", "--steps", "1")
        self.run("pnapo", "generate", *given, "--out", "mine/own")
        given = ("--images", "mine/own", "--prompts", "mine/own/images.csv", "--reward", "hps")
        self.run("pnapo", "score", *given, "--out", "mine/scores.csv")
        for table in ("mine/scores.csv", "results/tables/main.csv", "results/tables/geneval.csv"):
            self.run("pnapo", "table", table)
        for folder in ("results", "mine/imported", "mine/exported"):
            self.run("pnapo", "verify", folder)


def files(folders: Path | Sequence[Path], pattern: str) -> Iterator[tuple[Path, str]]:
    """Texts below folders, line ends as they are."""
    for folder in [folders] if isinstance(folders, Path) else folders:
        for path in sorted(folder.rglob(pattern)):
            if path.is_file():
                yield path, path.read_bytes().decode("utf-8", "surrogateescape")


def found_in(
    texts: Iterable[tuple[Path, str]], look: Callable[[str], Iterable[str]], least: int
) -> tuple[int, list[str]]:
    """How many files were read, and what is wrong with them. RuntimeError if there are too few: nothing was proven."""
    count, wrong = 0, []
    for path, text in texts:
        count += 1
        try:
            wrong += [f"{path.name}: {problem}" for problem in look(text)]
        except (ValueError, yaml.YAMLError) as error:
            wrong.append(f"{path.name}: {error}")
    if count < least:
        raise RuntimeError(f"only {count} files instead of {least} or more")
    return count, wrong


def pages(project: Project) -> tuple[int, list[str]]:
    """Report and study page; the study's data are the prompts as they were."""
    results, script = project.folder / "results", (ROOT / "pnapo/study/templates/study.js").read_text("utf-8")
    count, wrong = found_in(files(project.made, "*.html"), lambda text: surfaces.html(text, MARK, script), 2)
    (data,) = surfaces.data_of((project.folder / "mine" / "study.html").read_text("utf-8"))
    strange = [pair["prompt"] for pair in data["pairs"] if pair["prompt"] not in PROMPTS]
    for path, text in files(results / "figures", "*.svg"):
        wrong += [f"{path.name}: {problem}" for problem in surfaces.svg(text, MARK)]
        count += 1
    return count, wrong + [f"study: {prompt[:40]!a} is none of the prompts" for prompt in strange]


def cards(project: Project) -> tuple[int, list[str]]:
    def look(text: str) -> Iterator[str]:
        head = surfaces.front_matter(text)
        if not {"base_model", "pretty_name"} & head.keys() or MARK in str(head):
            yield f"front matter {sorted(head)}"

    return found_in(files(project.made, "README.md"), look, 3)


def prompts_kept(project: Project) -> tuple[int, list[str]]:
    """Prompts that come back from tables as they went in."""
    from pnapo.prompts.sources import read_column

    names = ("mine/own/images.csv", "mine/scores.csv", "results/testsets/nasty.parquet")
    tables = {name: read_column(project.folder / name) for name in names}
    lost = [
        f"{name}: {text[:40]!a}" for name, found in tables.items() for text in set(PROMPTS) - set(found) if text.strip()
    ]
    return sum(map(len, tables.values())), lost


def said(project: Project) -> tuple[int, list[str]]:
    """Lines that commands printed, of which each prompt has one at least, and what is wrong with them."""
    count = project.said.count("\n")
    if count < len(PROMPTS):
        raise RuntimeError(f"only {count} lines were printed for {len(PROMPTS)} prompts")
    return count, list(surfaces.log(project.said, MARK))


def standing(project: Project) -> set[Path]:
    """What is below the two folders above the project, and what has a prompt's name where its path leads."""
    elsewhere = (path for place in LED_TO for path in Path(place).expanduser().iterdir())
    return {path for path in elsewhere if MARK in path.name} | set(project.folder.parents[1].rglob("*"))


def outside(project: Project, before: set[Path]) -> tuple[int, list[str]]:
    """What has come to stand where no output belongs; links, and names that prompts gave, where it does."""
    new = standing(project) - before
    allowed = (*project.made, project.folder / ".snakemake", project.folder / ".cache")
    wrong = [path for path in new if not any(path.is_relative_to(folder) for folder in allowed)]
    wrong = [path for path in wrong if "__pycache__" not in path.parts]
    for path in (path for folder in project.made for path in folder.rglob("*")):
        if path.is_symlink() or path.stem == MARK or not re.fullmatch(r"[\w.-]{1,150}", path.name, re.ASCII):
            wrong.append(path)
    return len(new), [f"{path}" for path in wrong]


def secrets(project: Project) -> tuple[int, list[str]]:
    """Files of any kind, and what commands said, in which a secret of the environment stands."""
    made = [path for path in project.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    looked = (*project.made, project.folder / ".snakemake")
    made = [path for path in made if any(path.is_relative_to(folder) for folder in looked)]
    wrong = [f"{path}" for path in made for value in SECRETS.values() if value.encode() in unpacked(path)]
    return len(made), wrong + [name for name, value in SECRETS.items() if value in project.said]


def unpacked(path: Path) -> bytes:
    """The bytes of a file, and of a table's cells those without compression."""
    kept = path.read_bytes()
    if path.suffix != ".parquet":
        return kept
    import pyarrow.parquet
    from pyarrow.types import is_dictionary

    columns = pyarrow.parquet.read_table(path).columns
    plain = [column.cast(column.type.value_type) if is_dictionary(column.type) else column for column in columns]
    cells = (cell for column in plain for chunk in column.chunks for buffer in chunk.buffers() if (cell := buffer))
    return kept + b"".join(map(bytes, cells))


def promises(project: Project, before: set[Path]) -> Iterator[Promise]:
    """What was promised of each kind of output."""
    results = project.folder / "results"
    tables = results / "tables"
    looks: list[tuple[str, str, tuple[int, list[str]]]] = [
        (
            "prompts put no element, attribute, address or script into pages and figures",
            "pages and figures",
            pages(project),
        ),
        ("prompts put no command into LaTeX tables", "tables", found_in(files(tables, "*.tex"), surfaces.latex, 5)),
        (
            "prompts put no markup into Markdown tables",
            "tables",
            found_in(files(tables, "*.md"), lambda text: surfaces.markdown(text, MARK), 5),
        ),
        ("no cell of a CSV table is a formula", "tables", found_in(files(project.made, "*.csv"), surfaces.sheet, 7)),
        ("front matter of cards is YAML and holds no prompt", "cards", cards(project)),
        ("prompts come back from tables as they went in", "rows", prompts_kept(project)),
        (
            "logs hold nothing that a terminal obeys, and no line that a prompt wrote",
            "logs",
            found_in(files(results / "logs", "*.log"), lambda text: surfaces.log(text, MARK), 20),
        ),
        ("nor does what commands print", "lines", said(project)),
        (
            "nothing is written outside results, nor under a prompt's name",
            "files and folders",
            outside(project, before),
        ),
        ("secrets of the environment stand in no file and no message", "files", secrets(project)),
    ]
    for promise, what, (count, wrong) in looks:
        for line in wrong[:10]:
            print(f"  {line}"[:300])
        yield Promise(promise, f"{len(PROMPTS)} prompts, {count} {what}, {len(wrong)} wrong", not wrong)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, help="a new folder to work in, which is kept (default: a temporary one)")


def main() -> None:
    args = arguments(__doc__, options)
    with ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-")))
        project = Project(folder.resolve() / "in" / "a project")
        before = standing(project)
        project.make()
        found = list(promises(project, before))
    record("hostile", found, args.record_in)


if __name__ == "__main__":
    main()
