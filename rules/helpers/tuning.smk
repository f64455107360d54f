# Tuning and budgets: the points of each run's grid, and of the curves over training.
from itertools import product

from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS

TUNED = [run for run in CONFIG.runs if grid(CONFIG, run)]
CURVED = {name: run for name, run in CONFIG.runs.items() if run.snapshots}  # runs with a curve over training
CHOICES = [f"<results>/tuning/{b}/{run}.json" for b in CONFIG.backbones for run in TUNED if run in runs_on(CONFIG, b)]


def tried(wildcards):
    """The scores of every point of a run's grid at every step to stop at."""
    return expand(
        "<results>/scores/{backbone}/{point}-s{seed}-at{step}/{testset}/{metric}.parquet",
        point=grid(CONFIG, wildcards.run),
        seed=CONFIG.tuning.seed,
        step=stops(CONFIG, wildcards.run),
        testset=CONFIG.tuning.testset,
        metric=CONFIG.tuning.metric,
        allow_missing=True,
    )


def points(wildcards):
    """β (if the loss has one) and learning rate of every point of a run's grid, and the steps to stop at, as JSON."""
    keys = ["learning_rate"] if CONFIG.runs[wildcards.run].loss in WITHOUT_BETA else ["beta", "learning_rate"]
    settings = {name: resolve_run(CONFIG, wildcards.backbone, name) for name in grid(CONFIG, wildcards.run)}
    tried = {name: {key: run[key] for key in keys} for name, run in settings.items()}
    return json.dumps({"points": tried, "steps": stops(CONFIG, wildcards.run)})


def curves_on(backbone):
    """The runs of a backbone whose snapshots are measured."""
    among = CONFIG.budget.backbones if CONFIG.budget else []
    return [name for name in CURVED if name in runs_on(CONFIG, backbone) and backbone in (among or [backbone])]


def snapshots():
    """Run, backbone, seed and step of every point of a curve."""
    for backbone in CONFIG.backbones:
        for name in curves_on(backbone):
            yield from product([name], [backbone], CURVED[name].seeds, CURVED[name].snapshots)


def curve_scores():
    """The scores behind the budget curves, and those of the base."""
    if not CONFIG.budget:
        return []
    curves = [(b, f"{run}-s{seed}-at{step}") for run, b, seed, step in snapshots()]
    return [
        f"<results>/scores/{backbone}/{policy}/{CONFIG.budget.testset}/{metric}.parquet"
        for backbone, policy in [*((backbone, "base") for backbone in dict.fromkeys(b for b, _ in curves)), *curves]
        for metric in CONFIG.budget.metrics
    ]


def budget_settings(wildcards):
    """What the budget table depends on beside the scores."""
    curves = {
        name: {
            "backbones": [backbone for backbone in CONFIG.backbones if name in curves_on(backbone)],
            "seeds": run.seeds,
            "steps": run.snapshots,
            "pairs": run.batch * run.accumulation,
            "sides": 2 if LOSSES[run.loss].loser else 1,
            "reference": LOSSES[run.loss].reference,
            "setup": inversion_passes() if PATHS[run.path].noise == "inverted" else 0,
        }
        for name, run in CURVED.items()
    }
    measured = CONFIG.budget.model_dump(include={"testset", "metrics"}) if CONFIG.budget else {}
    return json.dumps({**measured, "runs": curves, "statistics": CONFIG.statistics.model_dump()})


def inversion_passes():
    """Forward passes of the reference that finding the noise of every image takes."""
    images = CONFIG.prompts.selection.count * CONFIG.pairs.samples
    return images * CONFIG.inversion.steps * (2 if CONFIG.inversion.renoise else 1)
