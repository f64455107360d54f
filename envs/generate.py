"""Write envs/*.yaml: for each family of rules, what its scripts import, at the versions of requirements.lock.

A rule names its environment (`conda:`), and a script's imports are read from its source, so nothing is listed here but
what a library needs without being imported by us.
"""

import importlib.metadata
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pnapo.sources import closure, imports  # noqa: E402

UNSEEN = {
    "diffusers": ("accelerate", "transformers"),
    "torch": ("torchvision",),
    "transformers": ("protobuf", "sentencepiece", "tokenizers"),  # T5's tokenizer
}
# What their scripts import and never call (the device, tensors): tables are made without torch.
UNUSED = {
    "tables": (
        *("pnapo/scripting.py", "pnapo/objectives/paths.py"),
        *(f"pnapo/artifacts/{name}.py" for name in ("tensors", "pretrained", "parts", "images")),
    )
}
PYTHON = "3.11"
HEAD = """# The rules that name this file: {rules}.
# Used only with `snakemake --sdm conda`; without it, jobs run in the environment that runs Snakemake. Written by
# `make lock` (envs/generate.py): what their scripts import, at the versions of requirements.lock.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python ={python}
  - pip
  - pip:
"""


def normal(name: str) -> str:
    """A distribution's name as the lock spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def rules() -> dict[str, dict[str, str]]:
    """The script of each rule, by environment and rule."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", file.read_text("utf-8"), flags=re.M | re.S):
            environment = re.search(r'"\.\./envs/(\w+)\.yaml"', body)
            if environment:
                found.setdefault(environment[1], {})[name] = re.search(r"workflow_scripts/\w+\.py", body)[0]
    return found


def pins(
    scripts: list[str], skip: tuple[str, ...], lock: dict[str, str], distributions: dict[str, list[str]]
) -> list[str]:
    """`name==version` of all distributions that the scripts import, but for what only the files `skip` do."""
    files = {file for script in scripts for file in closure(script, str(ROOT), skip)}
    modules = {module.split(".")[0] for file in files for module, _ in imports(file, str(ROOT)).others}
    todo = [normal(name) for module in modules - sys.stdlib_module_names for name in distributions.get(module, [])]
    names: set[str] = set()
    while todo:
        name = todo.pop()
        names.add(name)
        todo += [more for more in UNSEEN.get(name, ()) if more not in names]
    return sorted(f"{name}=={lock[name]}" for name in names if name in lock)


def locked() -> dict[str, str]:
    """The version of each package for PYTHON on Linux."""
    target = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "sys_platform": "linux"}
    target |= {"platform_system": "Linux", "platform_machine": "x86_64"}
    lines = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements.lock").read_text("utf-8"), flags=re.M)
    wanted = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate(target)]
    return {normal(r.name): next(iter(r.specifier)).version for r in wanted}


def environments() -> dict[str, str]:
    """The content of each file of envs/ by its name."""
    lock, distributions = locked(), importlib.metadata.packages_distributions()
    return {
        f"{name}.yaml": HEAD.format(python=PYTHON, rules=", ".join(scripts))
        + "".join(
            f"      - {pin}\n" for pin in pins(sorted(set(scripts.values())), UNUSED.get(name, ()), lock, distributions)
        )
        for name, scripts in rules().items()
    }


if __name__ == "__main__":
    for name, content in environments().items():
        (ROOT / "envs" / name).write_text(content, "utf-8")
