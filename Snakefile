# From raw prompts to tables: `snakemake` makes everything config.yaml asks for. The rules lie in rules/, in the order
# of the story, and what they ask about the configuration in rules/helpers/; every rule calls one script of
# workflow_scripts/, which calls one function of pnapo/.
import sys

from snakemake.utils import min_version

from pnapo.config import (
    as_json,
    data_folder,
    draw_seed,
    grid,
    label_table,
    networks,
    pairs_of,
    policies,
    resolve_run,
    runs_on,
    sampling_of,
    stops,
    validate,
)
from pnapo.config.loading import read_yaml
from pnapo.config.schema import WITHOUT_BETA
from pnapo.errors import UserError
from pnapo.needs import MADE, missing, record_of, told
from pnapo.orphans import cancel_orphans
from pnapo.owner import VARIABLE
from pnapo.provenance import save as save_provenance
from pnapo.restart import end_orderly, forget, sweep, take_over

min_version("9.27")


try:
    read_yaml("config.yaml")  # says in which line a mistake is
except UserError as error:
    sys.exit(f"error: {error}")


configfile: "config.yaml"


# `--config freeze_code=true`: a changed source file makes nothing again.
FREEZE_CODE = str(config.pop("freeze_code", "false")).lower() == "true"
try:
    CONFIG = validate(config, " + ".join(map(str, workflow.configfiles)))
except UserError as error:
    sys.exit(f"error: {error}")


pathvars:
    results=CONFIG.results,
    logs=f"{CONFIG.results}/logs",
    benchmarks=f"{CONFIG.results}/benchmarks",


include: "rules/common.smk"
include: "rules/helpers/resources.smk"
include: "rules/helpers/data.smk"
include: "rules/helpers/runs.smk"
include: "rules/helpers/scores.smk"
include: "rules/helpers/tuning.smk"
include: "rules/helpers/tables.smk"
include: "rules/helpers/required.smk"


onstart:
    cancel_orphans(os.getcwd(), logger.info)
    sweep(CONFIG.results)
    end_orderly(workflow.scheduler, lambda: [job.pid for job in list(shell._processes.values())], logger.info)


onsuccess:
    try:
        save_provenance(f"{CONFIG.results}/provenance.json")
    except UserError as error:
        logger.warning(f"Not saved for clones: {error}")


wildcard_constraints:
    backbone=one_of(CONFIG.models),
    data=f"(?:/datasets/(?:{one_of(CONFIG.datasets)}))?",
    dataset=one_of(CONFIG.datasets),
    list=one_of([SELECTED, *CONFIG.datasets, *CONFIG.testsets]),
    metric=one_of(CONFIG.metrics),
    policy=one_of(["base", *(rf"{run}-s\d+(?:-at\d+)?" for run in (*CONFIG.runs, *GRID))]),
    preference=one_of(CONFIG.preferences),
    reward=one_of(CONFIG.rewards),
    run=one_of([*CONFIG.runs, *GRID]),
    seed=r"\d+",
    shard=r"\d{5}",
    testset=one_of(CONFIG.testsets),


include: "rules/fetch.smk"
include: "rules/world.smk"
include: "rules/prompts.smk"
include: "rules/pairs.smk"
include: "rules/datasets.smk"
include: "rules/labels.smk"
include: "rules/reference.smk"
include: "rules/train.smk"
include: "rules/benchmarks.smk"
include: "rules/tuning.smk"
include: "rules/lab.smk"
include: "rules/claims.smk"
include: "rules/tables.smk"
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        rules.tables.input,
        rules.labels.input,
        rules.claims.input if CONFIG.claims else [],
    localrule: True


if workflow.is_main_process:
    require_targets()
    try:
        if COMMAND and COMMAND.unlock:
            forget()
        elif not LOOKING:
            take_over(logger.info)
    except UserError as error:
        sys.exit(f"error: {error}")
else:  # on a cluster, jobs outlive their Snakemake until the next one cancels them
    os.environ.pop(VARIABLE, None)
