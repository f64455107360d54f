"""GenEval by task: accuracy over prompts with intervals, and the overall score (methods.md B, "GenEval rules")."""

from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.tables.labels import label, testset_label
from pnapo.tables.pivot import best
from pnapo.tables.scores import OVERALL, Expected, detector_of, is_tagged, read_run
from pnapo.tables.statistics import mean_interval
from pnapo.tables.write import Cell, Grid

COLUMNS = (
    *("backbone", "run", "testset", "metric", "task", "n", "accuracy", "ci_low", "ci_high"),
    *("detector", "published"),
)


def geneval_table(root: Path | str, expected: Expected, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row (COLUMNS) per run and task, then `overall`, the unweighted mean of the tasks; n counts prompts.

    A prompt's accuracy is its mean over images and training seeds. Metrics without tasks are left out. `published` comes
    from `read_published`; such values are of GenEval's own detector, whichever is ours.
    """
    columns = [(t, m) for t, m in expected.columns if is_tagged(root, expected, t, m)]
    rows, detectors = [], {column: detector_of(root, expected, *column) for column in columns}
    for backbone in expected.backbones:
        for run in expected.rows(backbone):
            for testset, metric in columns:
                scores = read_run(root, expected, backbone, run, testset, metric)
                values, tags = scores.per_prompt, np.asarray(scores.tags, dtype=object)
                parts = [(task, values[tags == task], None) for task in _in_order(scores.tags)]
                for task, part, strata in [*parts, (OVERALL, values, scores.tags)]:
                    found = mean_interval(part, expected.statistics, strata)
                    rows.append([backbone, run, testset, metric, task, len(part), *found, detectors[testset, metric]])
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    if published is None:
        return table.assign(published=np.nan)
    return table.merge(published, how="left", on=["backbone", "run", "testset", "metric", "task"])


_OFFICIAL = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def _in_order(tags: list[str]) -> list[str]:
    """The tasks, the official six first and in their usual order."""
    return sorted(set(tags), key=lambda t: (_OFFICIAL.index(t) if t in _OFFICIAL else len(_OFFICIAL), t))


def geneval_grids(table: pd.DataFrame) -> list[Grid]:
    """Per backbone, test set and metric: runs down, tasks across."""
    grids = []
    for (backbone, testset, metric), part in table.groupby(["backbone", "testset", "metric"], sort=False):
        tasks, runs = list(dict.fromkeys(part["task"])), list(dict.fromkeys(part["run"]))
        columns = []
        for task in tasks:
            rows = part[part["task"] == task].set_index("run").loc[runs]
            texts = [f"{a:.3f}" for a in rows["accuracy"]]
            half = [f"{(h - low) / 2:.3f}" for low, h in zip(rows["ci_low"], rows["ci_high"])]
            bold = best(texts, list(rows["accuracy"]))
            columns.append([Cell(f"{t} ±{h}", b) for t, h, b in zip(texts, half, bold)])
        body = []
        for i, run in enumerate(runs):
            body.append([Cell(label(run)), *(column[i] for column in columns)])
            values = part[part["run"] == run].set_index("task")["published"]
            if values.notna().any():
                body.append([Cell("  published"), *(Cell("–" if np.isnan(v) else f"{v:.6g}") for v in values[tasks])])
        detector = part["detector"].iloc[0]
        title = f"{testset_label(str(testset))} ({label(str(metric))}{f', detector {detector}' if detector else ''})"
        grids.append(Grid(["run", *(label(t) for t in tasks)], body, title, label(str(backbone))))
    return grids


def geneval_caption(confidence: float) -> str:
    """What the numbers of geneval.md and geneval.tex are."""
    return (
        f"Share of images that show what the prompt asks for, by GenEval's rules, ± half of the {100 * confidence:g} % "
        "bootstrap interval over prompts; overall is the unweighted mean of the tasks; best of each column in bold. "
        "The detector is named above each table; published values are by GenEval's own, on the authors' models and "
        "settings, and not comparable."
    )
