"""The plain tables of the page: how runs differ, how test sets were sampled, what training cost, seeds, paths."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pnapo.config import pairs_of, sampling_of
from pnapo.config.schema import WITHOUT_BETA, Run
from pnapo.report.collect import Results
from pnapo.report.runs import ordered
from pnapo.tables.compute import FORMATS
from pnapo.tables.geometry import geometry_caption, geometry_grids
from pnapo.tables.labels import label, testset_label
from pnapo.tables.write import Grid, grid_of, show

_LONG = 24  # rows of a cost table, above which training seeds are pooled
HOW = {"peak_memory_mb": "max", "published_gpu_hours": "first"}  # what is not added up over seeds, and how it is pooled
# Settings that have a column of their own, or change no result.
_TOLD = {
    "path",
    "loss",
    "schedule",
    "beta",
    "data",
    "reward",
    "adapter",
    "lora_rank",
    "learning_rate",
    "steps",
    "batch",
}
_TOLD |= {"accumulation", "tune", "seeds", "snapshots", "checkpoint_every", "gradient_checkpointing", "backbones", "on"}


def shown(grid: Grid) -> dict[str, Any]:
    """A table as header, rows of text, and which columns are text."""
    return {"header": grid.header, "rows": [[c.text for c in row] for row in grid.rows], "left": grid.left}


def named(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with names for people in some columns."""
    return frame.assign(**{column: frame[column].astype(str).map(label) for column in columns})


def _each(on: dict[str, dict[str, Any]], text: Callable[[dict[str, Any]], str]) -> str:
    """What is said of the settings on each backbone (`on`), once if all agree, else with the backbones."""
    found: dict[str, list[str]] = {}
    for backbone, settings in on.items():
        found.setdefault(text(settings), []).append(label(backbone))
    return "; ".join(value if len(found) == 1 else f"{value} on {' and '.join(b)}" for value, b in found.items())


def _trains(settings: dict[str, Any]) -> str:
    return f"LoRA, rank {settings['lora_rank']}" if settings["adapter"] == "lora" else "all weights"


def _more(run: Run) -> str:
    """The other settings, those that are not as usual."""
    usual = {name: field.default for name, field in Run.model_fields.items() if name not in _TOLD}
    return ", ".join(f"{n} {show(getattr(run, n))}" for n, value in usual.items() if getattr(run, n) != value)


def methods_table(results: Results) -> dict[str, Any]:
    """How each run differs, one row each; β in the code convention."""
    rows = []
    for name in ordered(list(results.methods)):
        run = results.methods[name]
        plain = run.loss in WITHOUT_BETA
        on = {b: results.settings(b, name) for b in results.config.backbones if name in results.methods_on(b)}
        rows.append(
            {
                "run": label(name),
                "path": run.path,
                "loss": run.loss,
                "schedule": "–" if plain else run.schedule,
                "β": "–" if plain else _each(on, lambda s: f"{s['beta']:g}"),
                "labels by": f"{label(run.data)}, {label(run.reward)}" if run.data else label(run.reward),
                "trains": _each(on, _trains),
                "learning rate": _each(on, lambda s: f"{s['learning_rate']:g}"),
                "steps": _each(on, lambda s: f"{s['steps']:g}"),
                "pairs a step": _each(on, lambda s: f"{s['batch'] * s['accumulation']}"),
                "more": _more(run),
                "tuned": run.tune,
                "seeds": ", ".join(map(str, run.seeds)),
            }
        )
    return shown(grid_of(pd.DataFrame(rows)))


def pairs_table(results: Results) -> dict[str, Any]:
    """How the pairs of each backbone were made."""
    config = results.config
    made = {backbone: pairs_of(config, backbone) for backbone in config.backbones}
    rows = [
        {
            "backbone": label(backbone),
            "model": Path(config.models[backbone].path).name,
            "resolution": config.models[backbone].resolution,
            "Euler steps": pairs.steps,
            "guidance": f"{pairs.guidance:g}",
            "images per prompt": pairs.samples,
            "noise seed": pairs.seed,
        }
        for backbone, pairs in made.items()
    ]
    return shown(grid_of(pd.DataFrame(rows)))


def testsets_table(results: Results) -> dict[str, Any]:
    """How the images of each test set were made; those that only chose, or drew the curves of the budget, too."""
    config, prompts = results.config, results.main.groupby("testset")["n"].max()
    uses = {name: ["results"] for name in results.testsets}
    if any(run.tune for run in results.methods.values()) and config.tuning:
        uses.setdefault(config.tuning.testset, []).append("tuning")
    if config.budget:
        uses.setdefault(config.budget.testset, []).append("budget")
    rows = []
    for name, use in uses.items():
        t, on = config.testsets[name], {b: sampling_of(config, b, name).model_dump() for b in config.backbones}
        rows.append(
            {
                "test set": testset_label(name),
                "for": ", ".join(use),
                "prompts": int(prompts[name]) if name in prompts else t.count,
                "images per prompt": t.images,
                "Euler steps": _each(on, lambda s: f"{s['steps']:g}"),
                "guidance": _each(on, lambda s: f"{s['guidance']:g}"),
                "noise seed": t.seed,
            }
        )
    return shown(grid_of(pd.DataFrame(rows)))


def seeds_table(results: Results) -> dict[str, Any]:
    """The spread over training seeds of the runs that have several."""
    seeds = results.seeds[results.seeds["between_seed_sd"].notna()] if len(results.seeds) else results.seeds
    return shown(grid_of(named(seeds, "backbone", "run", "testset", "metric")))


def cost_table(results: Results) -> dict[str, Any]:
    """What each training cost, one row each."""
    return shown(grid_of(named(results.compute, "backbone", "run"), FORMATS))


def cost_by_run(results: Results) -> dict[str, Any] | None:
    """The same with the training seeds of a run added up (of memory, the most); None if there are few rows."""
    cost = results.compute
    if len(cost) <= _LONG:
        return None
    how = {"seed": "count"} | {c: HOW.get(c, "sum") for c in cost.columns[3:]}
    pooled = cost.groupby(["backbone", "run"], sort=False).agg(how).reset_index()
    pooled = pooled.dropna(axis="columns", how="all").rename(columns={"seed": "seeds"})
    return shown(grid_of(named(pooled, "backbone", "run"), FORMATS | {"seeds": "d"}))


def geometry_table(results: Results, backbone: str) -> dict[str, Any] | None:
    """The paths beside each other; None if they were not measured."""
    table = results.optional.get("geometry")
    if table is None or backbone not in set(table["backbone"]):
        return None
    (grid,) = geometry_grids(table[table["backbone"] == backbone])
    return shown(grid)


def geometry_note(results: Results) -> str:
    """What the columns of `geometry_table` mean."""
    return geometry_caption(results.config.statistics.confidence)
