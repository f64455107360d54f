"""What a configuration reads and no rule makes: models, weights, prompt lists, data sets; what of it is missing, how large
that is, and which download brings it. Without torch, so that a plan takes no longer for it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from pnapo.artifacts import files_of
from pnapo.config.schema import Config, Download

MADE = "assets/world/"  # `snakemake world` makes what lies there
WEIGHTS = (".bin", ".ckpt", ".pt", ".pth", ".safetensors")  # a name that ends so is a file even without a folder
# Of the stages that need only a part of all this, the settings whose files they read.
STAGES = {"prompts": ("prompts.", "datasets."), "testsets": ("testsets.",)}


class Need(NamedTuple):
    """A file, or folder, and the setting that names it."""

    setting: str
    path: str
    folder: bool = False

    @property
    def problem(self) -> str:
        """Why it cannot be used; "" if it is there."""
        if not self.folder:
            what = "holds no .parquet file" if os.path.isdir(self.path) else "no such file"
            return "" if files_of(self.path) else what
        if not os.path.isdir(self.path):
            return "no such folder"
        cut_off = Path(self.path, ".cache/huggingface/download").rglob("*.incomplete")
        return "its download has not ended" if any(cut_off) else ""


def record_of(download: Download) -> str:
    """The file that says what a download brought."""
    return f"{download.path}.fetched.json" if download.url else f"{download.path}/fetched.json"


def needs(config: Config) -> list[Need]:
    """All of them, in the order of the configuration's stages; what the embedded world makes is left out."""
    return [need for need in _needs(config) if not need.path.startswith(MADE)]


def _needs(config: Config) -> Iterator[Need]:
    prompts = config.prompts
    if prompts.source.path:
        yield Need("prompts.source.path", prompts.source.path)
    if prompts.safety.kind == "detoxify":
        yield Need("prompts.safety.checkpoint", prompts.safety.checkpoint)
        if prompts.safety.config_path:
            yield Need("prompts.safety.config_path", prompts.safety.config_path, folder=True)
    yield from _files("prompts.semantic", prompts.semantic)
    for name, dataset in config.datasets.items():
        yield Need(f"datasets.{name}.path", dataset.path)
    for name in config.backbones:
        yield Need(f"models.{name}.path", config.models[name].path, folder=True)
    for name, reward in config.rewards.items():
        found = _files(f"rewards.{name}", reward)
        if reward.kind == "external":  # its program may know the model by a name of the hub
            found = (need for need in found if not need.setting.endswith(".model"))
        yield from found
    for name, testset in config.testsets.items():
        paths = [testset.path] if isinstance(testset.path, str) else testset.path or []
        yield from (Need(f"testsets.{name}.path", path) for path in paths)
    for name, metric in config.metrics.items():
        yield from _files(f"metrics.{name}", metric)
    if config.published:
        yield Need("published", config.published)


def _files(where: str, section: BaseModel) -> Iterator[Need]:
    """The files that a section's texts name, whatever the settings are called; other texts are names that libraries know."""
    for name, value in section:
        if isinstance(value, BaseModel):
            yield from _files(f"{where}.{name}", value)
        elif isinstance(value, str) and not value.startswith("hf-hub:"):
            path = value.removeprefix("local-dir:")
            if "/" in path or path.endswith(WEIGHTS):
                file = path.endswith((*WEIGHTS, ".json", ".txt", ".py", "/python")) or os.path.isfile(path)
                yield Need(f"{where}.{name}", path, folder=not file)


def missing(config: Config, targets: Iterable[str] = ()) -> list[Need]:
    """What is not there. If only stages that need less are asked for, what these need."""
    targets = list(targets)
    only = [STAGES.get(target) for target in targets]
    prefixes = tuple(prefix for found in only for prefix in found) if targets and all(only) else ("",)
    return [need for need in needs(config) if need.setting.startswith(prefixes) and need.problem]


def brought_by(config: Config, path: str) -> str | None:
    """The name of the download that brings a path, if one does."""
    for name, download in config.downloads.items():
        if path == download.path or (download.repo and Path(path).is_relative_to(download.path)):
            return name
    return None


def words(size: float) -> str:
    """Gigabytes in words."""
    return f"{size:.3g} GB" if size >= 0.1 else f"{1000 * size:.3g} MB"


def told(config: Config, absent: Sequence[Need], overlays: Sequence[str] = ()) -> list[str]:
    """The lines that say what is missing, how large it is, and the command that brings it; one line if one is missing."""
    lines, names = [], []
    for need in absent:
        name = brought_by(config, need.path)
        size = config.downloads[name].size if name else None
        names += [name] if name and name not in names else []
        lines.append(f"{need.setting}: {need.path}: {need.problem}{f' ({words(size)})' if size else ''}")
    configuration = f" --configfile {' '.join(overlays)}" if overlays else ""
    command = f"`snakemake --cores 1{configuration} -- {' '.join(f'fetch_{name}' for name in names)}`"
    if len(lines) == 1:
        return [f"{lines[0]}; {command} brings it, where there is a network" if names else lines[0]]
    total = sum(config.downloads[name].size or 0 for name in names)
    size = f" ({words(total)})" if total else ""
    closing = [f"{command} brings what downloads are listed for{size}, where there is a network"] if names else []
    return [f"{len(lines)} files and folders are missing:", *(f"  {line}" for line in lines), *closing]
