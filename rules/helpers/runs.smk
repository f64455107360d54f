# Runs, their trainings and the policies these make: which there are, and what each needs.
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS

POLICIES = {backbone: policies(CONFIG, backbone) for backbone in CONFIG.backbones}
GRID = {point: run for run in CONFIG.runs for point in grid(CONFIG, run)}  # trainings of `tuning`, and whose they are
TRAINED = [(backbone, policy) for backbone, names in POLICIES.items() for policy in names if policy != "base"]


def run_of(wildcards):
    """The settings of one run, or point of a grid, on one backbone; the training seed is not among them."""
    return resolve_run(CONFIG, wildcards.backbone, wildcards.run)


def own(wildcards):
    """The section of the run, or of the run whose grid the training is a point of."""
    return CONFIG.runs[GRID.get(wildcards.run, wildcards.run)]


def choice(wildcards):
    """What tuning chose for a run, if it is tuned."""
    tuned = wildcards.run in CONFIG.runs and grid(CONFIG, wildcards.run)
    return f"<results>/tuning/{wildcards.backbone}/{wildcards.run}.json" if tuned else []


def reference_visits(wildcards):
    """The reference's errors that a run reads: those of visits it is sure to use wholly, so that none is made in vain.

    Ties only add visits. The run itself computes what its last, partial visits need, with its own choice of pairs.
    """
    run = run_of(wildcards)
    if run["reference"] != "cache" or not LOSSES[run["loss"]].reference or PATHS[run["path"]].uncached:
        return []
    if run["pairs"] or run["min_gap"]:  # whole visits would be more than it uses
        return []
    count = CONFIG.datasets[run["data"]].count if run["data"] else CONFIG.prompts.selection.count
    visits = run["steps"] * run["batch"] * run["accumulation"] // count
    data = data_folder(own(wildcards))
    folder = f"<results>/reference/{wildcards.backbone}{data}/{run['path']}-{run['time_sampling']}-s{wildcards.seed}"
    return [f"{folder}/visit-{visit:04d}.json" for visit in range(visits)]


def policy_manifest(wildcards):
    """The checkpoint that makes the images; the base model has none. `pnapo-s0-at80` is in that of `pnapo-s0`."""
    trained, _, _ = wildcards.policy.partition("-at")
    return [] if trained == "base" else f"<results>/runs/{{backbone}}/{trained}/manifest.json"


def policy_options(wildcards, input):
    """The options that carry a policy: its checkpoint, and after how many steps."""
    step = wildcards.policy.partition("-at")[2]
    return [*(["--policy", input.policy] if input.policy else []), *(["--step", step] if step else [])]


def gradient_options(wildcards, input):
    """The options that carry a policy whose gradients are measured, on the paths that claims compare; at the start, on all."""
    found = policy_options(wildcards, input) if input.get("policy") else []
    inverted = ["--inverted", input.inverted] if input.get("inverted") else []
    return [*found, "--paths", "stored", "independent"] if found else inverted


def trained(run=None):
    """The manifest of every training on every backbone, or of one run's."""
    seeds = {f"{run}-s{seed}" for seed in CONFIG.runs[run].seeds} if run else None
    chosen = [(backbone, policy) for backbone, policy in TRAINED if run is None or policy in seeds]
    return [f"<results>/runs/{backbone}/{policy}/manifest.json" for backbone, policy in chosen]
