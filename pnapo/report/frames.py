"""The plain tables of the page: how runs differ, how test sets were sampled, what training cost, seeds, paths."""

from typing import Any

import pandas as pd

from pnapo.config import sampling_of
from pnapo.config.schema import WITHOUT_BETA
from pnapo.report.collect import Results
from pnapo.report.runs import ordered
from pnapo.tables.compute import FORMATS
from pnapo.tables.geometry import geometry_grids
from pnapo.tables.labels import label, testset_label
from pnapo.tables.write import Grid, grid_of

_LONG = 24  # rows of a cost table, above which training seeds are pooled


def shown(grid: Grid) -> dict[str, Any]:
    """A table as header, rows of text, and which columns are text."""
    return {"header": grid.header, "rows": [[c.text for c in row] for row in grid.rows], "left": grid.left}


def named(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with names for people in some columns."""
    return frame.assign(**{column: frame[column].astype(str).map(label) for column in columns})


def _each(resolved: list[dict[str, Any]], setting: str) -> str:
    """A setting on every backbone, once if they agree."""
    return " / ".join(dict.fromkeys(f"{settings[setting]:g}" for settings in resolved))


def _trains(settings: dict[str, Any]) -> str:
    return f"LoRA, rank {settings['lora_rank']}" if settings["adapter"] == "lora" else "all weights"


def methods_table(results: Results) -> dict[str, Any]:
    """How each run differs, one row each; β in the code convention."""
    rows = []
    for name in ordered(list(results.methods)):
        run = results.methods[name]
        plain = run.loss in WITHOUT_BETA
        backbones = [backbone for backbone in results.config.backbones if name in results.methods_on(backbone)]
        on = [results.settings(backbone, name) for backbone in backbones]
        rows.append(
            {
                "run": label(name),
                "path": run.path,
                "loss": run.loss,
                "schedule": "–" if plain else run.schedule,
                "β": "–" if plain else _each(on, "beta"),
                "labels by": f"{label(run.data)}, {label(run.reward)}" if run.data else label(run.reward),
                "trains": " / ".join(dict.fromkeys(map(_trains, on))),
                "learning rate": _each(on, "learning_rate"),
                "steps": _each(on, "steps"),
                "pairs a step": " / ".join(dict.fromkeys(str(s["batch"] * s["accumulation"]) for s in on)),
                "seeds": ", ".join(map(str, run.seeds)),
            }
        )
    return shown(grid_of(pd.DataFrame(rows)))


def testsets_table(results: Results) -> dict[str, Any]:
    """How the images of each test set were made."""
    prompts = results.main.groupby("testset")["n"].max()
    rows = [
        {
            "test set": testset_label(name),
            "prompts": int(prompts[name]),
            "images per prompt": t.images,
            "Euler steps": _each(on, "steps"),
            "guidance": _each(on, "guidance"),
            "noise seed": t.seed,
        }
        for name in results.testsets
        for t in [results.config.testsets[name]]
        for on in [[sampling_of(results.config, b, name).model_dump() for b in results.config.backbones]]
    ]
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
    how = {"seed": "count"} | {c: "max" if c == "peak_memory_mb" else "sum" for c in cost.columns[3:]}
    pooled = cost.groupby(["backbone", "run"], sort=False).agg(how).reset_index()
    return shown(grid_of(named(pooled, "backbone", "run").rename(columns={"seed": "seeds"}), FORMATS | {"seeds": "d"}))


def geometry_table(results: Results, backbone: str) -> dict[str, Any] | None:
    """The paths beside each other; None if they were not measured."""
    table = results.optional.get("geometry")
    if table is None or backbone not in set(table["backbone"]):
        return None
    (grid,) = geometry_grids(table[table["backbone"] == backbone])
    return shown(grid)
