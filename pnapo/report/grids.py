"""Image grids of the page: the same prompts and noises for every run, with a verdict or score below each picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from pnapo.artifacts import read_table
from pnapo.artifacts.images import pngs_of
from pnapo.report.collect import Results
from pnapo.report.images import LONGEST, Embedded, embed, evenly, grid, open_picture
from pnapo.report.runs import focus_on, ordered
from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASE, score_path

FEW_COLUMNS = 6  # up to so many pictures stand beside each other in a card; more make a table
_SMALL, _SMALLEST = 224, 128  # sides of large pictures in tables of many


@dataclass(frozen=True)
class Sample:
    """One picture of an image grid and what is noted below it."""

    picture: Embedded
    note: str
    kind: str  # "right", "wrong" or "" for a plain note


@dataclass(frozen=True)
class ImageGrid:
    """Prompts with one picture per column; `png` is the whole grid as one picture, if it is to be a file."""

    name: str
    title: str
    note: str
    columns: list[str]
    rows: list[tuple[str, list[Sample]]]
    png: Image.Image | None

    @property
    def wide(self) -> bool:
        """Whether it has too many columns for cards."""
        return len(self.columns) > FEW_COLUMNS


def image_grids(results: Results, backbone: str) -> list[ImageGrid]:
    """One grid per test set, of the base model and the runs that are shown first."""
    runs = [BASE, *focus_on(results.runs, list(results.methods_on(backbone)))]
    count, longest = (9, LONGEST) if len(runs) <= FEW_COLUMNS else (5, _SMALL)
    return [image_grid(results, backbone, testset, runs, count, longest) for testset in results.testsets]


def contact_sheets(results: Results, backbone: str) -> list[ImageGrid]:
    """One grid per test set, of all runs, where `image_grids` does not show them all."""
    here = list(results.methods_on(backbone))
    if set(here) <= set(focus_on(results.runs, here)):
        return []
    runs = [run for run in ordered(results.runs) if run in (BASE, *here)]
    return [image_grid(results, backbone, t, runs, 5, _SMALLEST, file=False) for t in results.testsets]


def image_grid(
    results: Results, backbone: str, testset: str, runs: Sequence[str], count: int, longest: int, file: bool = True
) -> ImageGrid:
    """The first sample of `count` evenly spaced prompts, base and first training seed of each run, same noises.

    Raises UserError that names a missing or damaged file.
    """
    table = read_table(results.folder / "testsets" / f"{testset}.parquet", ["prompt_id", "prompt"])
    table = table.drop_duplicates("prompt_id")
    chosen = table.iloc[evenly(len(table), count)]
    ids, prompts = chosen["prompt_id"].tolist(), chosen["prompt"].tolist()
    columns, metric = [], ""
    for run in runs:
        policy = results.first_policy(run)
        pictures = pngs_of(results.folder / "images" / backbone / policy / testset / "manifest.json", ids)
        metric, notes = _notes(results, backbone, policy, testset, ids)
        columns.append([(pictures[i], *note) for i, note in zip(ids, notes)])
    rows = [
        (prompt, [Sample(embed(png, longest), text, kind) for png, text, kind in cells])
        for prompt, cells in zip(prompts, zip(*columns))
    ]
    names, whole = [label(run) for run in runs], None
    if file:
        whole = grid(names, [(p, [open_picture(c[0]) for c in cells]) for p, cells in zip(prompts, zip(*columns))])
    return ImageGrid(f"grid-{backbone}-{testset}", testset_label(testset), metric, names, rows, whole)


def _notes(
    results: Results, backbone: str, policy: str, testset: str, ids: list[str]
) -> tuple[str, list[tuple[str, str]]]:
    """What is noted below the pictures: GenEval's verdict, else the true utility, else the first metric."""
    metrics = [m for m, metric in results.config.metrics.items() if testset in metric.testsets]
    kinds = {results.config.metrics[m].kind: m for m in reversed(metrics)}
    metric = kinds.get("geneval") or kinds.get("utility") or (metrics[0] if metrics else None)
    if metric is None:
        return "", [("", "")] * len(ids)
    path = score_path(results.folder / "scores", backbone, policy, testset, metric)
    frame = read_table(path, ["prompt_id", "sample", "score"])
    scores = frame[frame["sample"] == 0].drop_duplicates("prompt_id").set_index("prompt_id")["score"]
    if metric == kinds.get("geneval"):
        return label(metric), [("correct", "right") if scores[i] > 0.5 else ("wrong", "wrong") for i in ids]
    return label(metric), [(f"{scores[i]:.3g}", "") for i in ids]
