"""What a user may change after a finished run, and the jobs that this makes again: the rows of docs/partial-reruns.md."""

from collections.abc import Mapping
from typing import NamedTuple

ALWAYS = {"main_table": 1, "geneval_table": 1, "report": 1}
ONE_RUN = {"train": 1, "generate_images": 2, "score_images": 2, "compute_table": 1, "curves": 1, **ALWAYS}
BOTH_RUNS = {"train": 2, "generate_images": 4, "score_images": 4, "compute_table": 1, "curves": 1, **ALWAYS}
ONE_TESTSET = {"generate_images": 3, "score_images": 3, "main_table": 1, "report": 1}
FROM_PAIRS = {
    "generate_pairs": 2,
    "collect_pairs": 1,
    "decode_pairs": 2,
    "label_pairs": 1,
    "calibrate_labels": 1,
    "cache_reference": 2,
    **BOTH_RUNS,
}
FROM_SELECTION = {"select_prompts": 1, "funnel_table": 1, "embed_prompts": 1, **FROM_PAIRS}


class Change(NamedTuple):
    """A change, as the page tells it; its settings on the command line, or a line added to a file; what runs again."""

    told: str
    config: str = ""
    file: str = ""
    jobs: Mapping[str, int] = {}


CHANGES = [
    Change("`device`; `--cores`; how many processes train (`--set-resources train:processes=2`)", "device=cpu"),
    Change("who follows the training logs (installed, or training would refuse it)", "tracker=tensorboard"),
    Change("what trainings are watched for", "watch={on_trouble: stop, growth: 0.2}"),
    Change("a run's loss, schedule, β, learning rate, LoRA rank, …", "runs={pnapo: {beta: 301}}", jobs=ONE_RUN),
    Change("a seed more for a run", "runs={pnapo: {seeds: [0, 1]}}", jobs={"cache_reference": 1, **ONE_RUN}),
    Change("a run more", "runs={ipo: {steps: 2, batch: 16}}", jobs=ONE_RUN),
    Change(
        "a run's `time_sampling`",
        "runs={pnapo: {time_sampling: logit_normal}}",
        jobs={"cache_reference": 1, **ONE_RUN},
    ),
    Change(
        "more steps for a run: it starts anew, but earlier visits of the reference are kept",
        "runs={pnapo: {steps: 3}}",
        jobs={"cache_reference": 1, **ONE_RUN},
    ),
    Change("the seed of the draws", "seed=1", jobs={"cache_reference": 2, **BOTH_RUNS}),
    Change("bootstrap, confidence", "statistics={bootstrap: 99}", jobs=ALWAYS),
    Change("the report's title", "name=another", jobs={"report": 1}),
    Change(
        "a metric more",
        "metrics={utility: {kind: utility, testsets: [heldout]}}",
        jobs={"score_images": 3, "main_table": 1, "report": 1},
    ),
    Change(
        "a reward more (labels for later runs)",
        "rewards={pickscore: {kind: pickscore, model: assets/world/pickscore}}",
        jobs={"label_pairs": 1, "report": 1},
    ),
    Change(
        "the factor of a reward in a preference (and runs that train with it, here none)",
        "preferences={calibrated: {rewards: {hps: 50}}}",
        jobs={"calibrate_labels": 1, "report": 1},
    ),
    Change("how images of a test set are sampled", "testsets={heldout: {steps: 5}}", jobs=ONE_TESTSET),
    Change(
        "prompts of a test set",
        "testsets={heldout: {count: 9}}",
        jobs={"write_testset": 1, "embed_prompts": 1, **ONE_TESTSET},
    ),
    Change("how pairs are sampled", "pairs={steps: 5}", jobs=FROM_PAIRS),
    Change("how many training prompts", "prompts={selection: {count: 20}}", jobs=FROM_SELECTION),
    Change("the number of clusters", "prompts={clusters: {count: 3}}", jobs={"cluster_prompts": 1, **FROM_SELECTION}),
    Change(
        "a threshold of the semantic filter",
        "prompts={semantic: {threshold: 0.98}}",
        jobs={"drop_semantic_duplicates": 1, "cluster_prompts": 1, **FROM_SELECTION},
    ),
    Change("code of the objectives", file="pnapo/objectives/losses.py", jobs=BOTH_RUNS),
    Change("code of the main table", file="pnapo/tables/main.py", jobs={"main_table": 1, "report": 1}),
    Change(
        "code of a reward that made labels",
        file="pnapo/rewards/hps.py",
        jobs={"label_pairs": 1, "calibrate_labels": 1, **BOTH_RUNS, "score_images": 5},
    ),
    Change("how the report looks", file="pnapo/report/templates/style.css", jobs={"report": 1}),
]

HEAD = """# What you change, and what runs again

`snakemake` makes again what a change touches, and nothing else; times of files do not count, contents do. Here are the
plans (`snakemake -n`) after a finished run of the small configuration of the tests: one backbone, two runs (`diffusion_dpo`,
`pnapo`), two test sets, a metric each. `dvc repro` does the same, since its stages call Snakemake.

| you change | for example | runs again (how many jobs) |
|---|---|---|
"""
TAIL = """
* One run alone, whatever else would have to run: `snakemake pnapo`. Tables alone, from scores that are there:
  `snakemake tables`, which needs neither torch nor checkpoints.
* You have touched code and know that it changes no result: `snakemake --config freeze_code=true` takes all code as it was.
* A backbone more makes everything of that backbone and leaves the others. `models.NAME.pairs` makes the pairs of that model
  again, and what is trained on them. A run's `backbones` add trainings or leave them out, and make none again.
* A tuned run (`tune: true`): a seed more trains that seed with what was chosen; another β or learning rate in its line, or
  another factor in `tuning`, moves the grid, which is then trained again; `snapshots` are part of a training, too.

Written from tests/workflow/changes.py, by the tests that try every row:
`PNAPO_UPDATE_DOCS=1 .venv/bin/python -m pytest tests/workflow/test_end_to_end.py -k page_on_partial_reruns`.
"""


def page() -> str:
    """The content of docs/partial-reruns.md."""
    rows = []
    for change in CHANGES:
        jobs = ", ".join(f"{rule} {count}" if count > 1 else rule for rule, count in change.jobs.items())
        example = f"`--config '{change.config}'`" if change.config else f"`{change.file}`"
        rows.append(f"| {change.told} | {example} | {jobs or 'nothing'} |\n")
    return HEAD + "".join(rows) + TAIL
