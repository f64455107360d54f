# What all rules share: how scripts are started, what counts as their code and weights, and their settings.
import json
import os
import shlex
from functools import cache
from pathlib import Path

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from pnapo import gpus
from pnapo.artifacts.files import files_of
from pnapo.artifacts.seal import RESULTS
from pnapo.scripting import ENVIRONMENT
from pnapo.sources import closure

# Every shell command starts with this. `python` is the interpreter that runs Snakemake or, with `--sdm conda`, that of
# the rule's environment; Snakemake sets OMP_NUM_THREADS and its kin to the rule's threads. Jobs of a local run fork from
# a process that has imported their libraries already (pnapo/warm); on a cluster, and with PNAPO_WARM=0, they do not.
starter = ["command", "python"]
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    starter = [sys.executable]
    if workflow.is_main_process and os.environ.get("PNAPO_WARM") != "0":
        starter += ["-I", "-S", "pnapo/warm/client.py"]
        os.environ.setdefault("PNAPO_WARM_OWNER", str(os.getpid()))
shell.prefix(
    "set -euo pipefail; export PYTHONPATH=.; . rules/helpers/job.sh; "
    f'python() {{{{ job {shlex.join(starter)} "$@"; }}}}; '
)

DEVICE = CONFIG.device
GPU = 0 if DEVICE == "cpu" else 1

# Without a cluster, as many jobs with models at once as there are GPUs (pnapo/gpus.py gives each its own).
if GPU and workflow.is_main_process and workflow.local_exec and "gpu" not in workflow.global_resources:
    if count := len(gpus.visible()):
        workflow.register_resource("gpu", count)

for name, value in ENVIRONMENT.items():  # every job inherits them
    os.environ.setdefault(name, value)
os.environ[RESULTS] = CONFIG.results  # where a file without a seal is refused

# Not counted as a rule's code: they start scripts, carry settings and files from place to place, and compute nothing.
CARRIERS = (
    "pnapo/artifacts/",
    "pnapo/config/",
    *(f"pnapo/{name}.py" for name in ("errors", "gpus", "owner", "processes", "refusals", "scripting", "__init__")),
)


def one_of(names):
    """A wildcard constraint that allows exactly these names; nothing at all if there is none (Snakemake ignores an empty one)."""
    return "|".join(f"(?:{name})" for name in names) or "(?!)"


def settings(section, *names):
    """A rule's parameter: a section of the configuration as canonical JSON, only the settings in `names` if given."""
    return lambda wildcards: as_json(section.model_dump(include=set(names) or None))


sources = cache(closure)  # a plan of a thousand jobs asks for the same ones a thousand times


def code(script, *modules, skip=()):
    """The sources whose change makes a rule's output stale: its script, and the `modules` of pnapo that it runs.

    With no module named: all that the script imports, directly or through others, but those that begin with one of
    `skip`. Modules are paths below pnapo/ without suffix.
    """
    out = f"workflow_scripts/{script}.py"
    skip = (*CARRIERS, *(f"pnapo/{prefix}" for prefix in skip))
    found = [out, *(f"pnapo/{module}.py" for module in modules)] if modules else sources(out, skip=skip)
    return ancient(sorted(found)) if FREEZE_CODE else sorted(found)


def weights(*paths):
    """The small file that stands for each model folder or checkpoint, if it is a local one: its manifest, if any."""
    found = set()
    for path in (Path(path.removeprefix("local-dir:")) for path in paths if path):
        folder = path if path.is_dir() else path.parent
        names = ("manifest.json", "model_index.json", "config.json", "open_clip_config.json", "med_config.json")
        index = next((folder / name for name in names if (folder / name).is_file()), path)
        if path.exists():
            found.add(str(index))
    return sorted(found)


def model_weights(backbone):
    """What stands for the weights of a backbone; of one that is missing, nothing (helpers/required.smk), unless it is made."""
    path = CONFIG.models[backbone].path
    return weights(path) or ([f"{path}/model_index.json"] if path.startswith(MADE) else [])


def model(wildcards):
    """A rule's parameter: the backbone, without how its pairs and test images are made."""
    return as_json(CONFIG.models[wildcards.backbone].model_dump(exclude={"pairs", "tests", "mixed_guidance"}))
