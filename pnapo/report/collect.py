"""Read everything the report shows. Each missing or damaged file is one clear error that names it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pnapo.artifacts import read_table, require_intact, require_listed
from pnapo.config import label_table, load_config, resolve_run, runs_on, validate
from pnapo.config.schema import Config, Run
from pnapo.errors import UserError
from pnapo.tables import geometry
from pnapo.tables.scores import BASE

INTERVAL = ("gain", "gain_low", "gain_high")
OPTIONAL = {  # tables of the laboratory, and the columns that the report needs of each
    "claims": ("backbone", "about", "claim", "test", "statistic", "value", "low", "high", "p", "p_adjusted", "verdict"),
    "tuning": ("backbone", "run", "beta", "learning_rate", "step", "score", "chosen"),
    "budget": (
        "backbone",
        "run",
        "testset",
        "metric",
        "step",
        "pairs_seen",
        "policy_passes",
        "reference_passes",
        *INTERVAL,
    ),
    "geometry": geometry.COLUMNS,
    "regimes": ("backbone", "metric", "curvature", "curvature_low", "curvature_high", "advantage", "low", "high"),
}


@dataclass(frozen=True)
class Results:
    """A finished run of the workflow. Tables have the columns of `pnapo.tables`."""

    folder: Path
    config: Config
    main: pd.DataFrame
    comparisons: pd.DataFrame
    seeds: pd.DataFrame
    compute: pd.DataFrame
    funnel: pd.DataFrame
    logs: dict[tuple[str, str], list[pd.DataFrame]]  # (backbone, run) -> one per training seed
    labels: dict[tuple[str, str | None, str], pd.DataFrame]  # (backbone, data, reward) -> prompt_id, gap, tie
    geneval: pd.DataFrame | None = None  # None if no metric is GenEval
    optional: dict[str, pd.DataFrame] = field(default_factory=dict)  # of OPTIONAL, those that were made
    geometry: dict[str, pd.DataFrame] = field(default_factory=dict)  # backbone -> geometry.parquet, where it was made

    @property
    def runs(self) -> list[str]:
        """The base model, then the runs in the order of the main table."""
        return list(dict.fromkeys(self.main["run"]))

    @property
    def methods(self) -> dict[str, Run]:
        """The settings of each run but the base, in the same order."""
        return {run: self.config.runs[run] for run in self.runs if run != BASE}

    def methods_on(self, backbone: str) -> dict[str, Run]:
        """Those of one backbone."""
        return {name: run for name, run in self.methods.items() if name in runs_on(self.config, backbone)}

    def settings(self, backbone: str, run: str) -> dict[str, Any]:
        """What a run was trained with on a backbone: its resolved settings, those that tuning chose in their place."""
        found = resolve_run(self.config, backbone, run)
        if self.config.runs[run].tune:
            table = self.optional["tuning"]
            (chosen,) = table[(table["backbone"] == backbone) & (table["run"] == run) & table["chosen"]].to_dict(
                "records"
            )
            found |= {name: chosen[name] for name in ("beta", "learning_rate")} | {"steps": int(chosen["step"])}
        return found

    @property
    def testsets(self) -> list[str]:
        """Test sets in the order of the main table."""
        return list(dict.fromkeys(self.main["testset"]))

    def first_policy(self, run: str) -> str:
        """The folder name of a run's first training seed."""
        return BASE if run == BASE else f"{run}-s{self.config.runs[run].seeds[0]}"


def trained_on(config: Config, run: Run) -> list[str]:
    """The metrics that are the rewards of a run's preference: one, or each of those that it calibrates."""
    rewards = config.preferences[run.reward].rewards if run.reward in config.preferences else [run.reward]
    return [name for name, metric in config.metrics.items() if metric.kind == "reward" and metric.reward in rewards]


def read_config(text: str) -> Config:
    """The resolved configuration from JSON, or from a YAML or JSON file.

    Raises UserError that names the setting if it is not valid.
    """
    if not text.lstrip().startswith("{"):
        return load_config(text)
    try:
        return validate(json.loads(text), "--config")
    except json.JSONDecodeError as error:
        raise UserError(f"--config: not valid JSON ({error})") from None


def read_csv(path: Path) -> pd.DataFrame:
    """A table of R/tables. Names stay text, whatever they look like."""
    names = ("backbone", "run", "opponent", "testset", "metric", "task", "step")
    require_listed(path)
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values={})
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; make the tables first") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable table ({str(error).splitlines()[0]}); make it again") from None
    for column in frame.columns.difference(names):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if (numbers.notna() | (frame[column].astype(str) == "")).all():
            frame[column] = numbers
    return frame


def over_seeds(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The table of comparisons with gains' intervals over prompts and training seeds, where it has these."""
    ends = {f"gain_{end}": comparisons[f"crossed_{end}"].fillna(comparisons[f"gain_{end}"]) for end in ("low", "high")}
    return comparisons.assign(**ends)


def wanted(name: str, config: Config) -> bool:
    """Whether the configuration asks for a table of OPTIONAL."""
    tuned = any(run.tune for run in config.runs.values())
    return bool({"tuning": tuned, "budget": config.budget}.get(name, config.claims))


def read_optional(folder: Path, config: Config) -> dict[str, pd.DataFrame]:
    """The tables of OPTIONAL that the configuration asks for.

    Raises UserError that names a missing or damaged table, or a missing column.
    """
    found = {}
    for name, columns in OPTIONAL.items():
        path = folder / "tables" / f"{name}.csv"
        if not wanted(name, config):
            continue
        frame = read_csv(path)
        if missing := [column for column in columns if column not in frame]:
            raise UserError(f"{path}: no column {missing[0]!r}; make the table again")
        if "step" in frame:
            frame = frame.assign(step=pd.to_numeric(frame["step"], errors="coerce"))
        if "chosen" in frame:
            frame = frame.assign(chosen=frame["chosen"].astype(str).str.lower() == "true")
        if len(frame):
            found[name] = frame
    return found


def read_log(path: Path) -> pd.DataFrame:
    """A training log, one row per optimizer step; columns a loss does not compute are empty."""
    rows: list[dict[str, Any]] = []
    try:
        for line in path.read_text("utf-8").splitlines():
            rows.append(json.loads(line))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; train the run again") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path}: line {len(rows) + 1} is not JSON; train the run again") from None
    if not rows or not all(isinstance(r, dict) and "step" in r for r in rows):
        raise UserError(f"{path}: needs a line with `step` for every optimizer step; train the run again")
    frame = pd.DataFrame(rows)
    return frame.apply(pd.to_numeric, errors="coerce")


def collect(folder: Path | str, config: Config) -> Results:
    """Read the tables, logs and labels of a finished workflow below `folder`.

    Raises UserError if something is missing or damaged, or the main table is of another configuration.
    """
    folder = Path(folder)
    tables = {
        name: read_csv(folder / "tables" / f"{name}.csv")
        for name in ("main", "comparisons", "seeds", "compute", "funnel")
    }
    if any(metric.kind == "geneval" for metric in config.metrics.values()):
        tables["geneval"] = read_csv(folder / "tables" / "geneval.csv")
    tables["comparisons"], main = over_seeds(tables["comparisons"]), tables["main"]
    for column, expected in (("backbone", set(config.backbones)), ("run", {BASE, *config.runs})):
        if (found := set(main[column])) != expected:
            odd = sorted(found ^ expected)[0]
            raise UserError(
                f"{folder / 'tables' / 'main.csv'}: {column} {odd!r} is not in both it and the configuration"
            )
    logs, labels = {}, {}
    for backbone in config.backbones:
        for name, run in runs_on(config, backbone).items():
            paths = [folder / "runs" / backbone / f"{name}-s{seed}" / "train_log.jsonl" for seed in run.seeds]
            for path in paths:
                require_intact(path.with_name("manifest.json"), "checkpoint", only=[path.name, "warnings.json"])
            logs[backbone, name] = [read_log(path) for path in paths]
        for run in runs_on(config, backbone).values():
            if (backbone, run.data, run.reward) not in labels:
                path = folder / label_table(run).format(backbone=backbone)
                labels[backbone, run.data, run.reward] = read_table(path, ["prompt_id", "gap", "tie"])
    columns = ["prompt_id", "path", "distance", "error", "length"]
    optional = read_optional(folder, config)
    compared = {b for name in ("geometry", "regimes") if name in optional for b in optional[name]["backbone"]}
    measured = {b: folder / "lab" / b / "geometry.parquet" for b in config.backbones if b in compared}
    return Results(
        folder=folder,
        config=config,
        logs=logs,
        labels=labels,
        optional=optional,
        geometry={backbone: read_table(path, columns) for backbone, path in measured.items()},
        **tables,
    )
