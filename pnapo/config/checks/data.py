"""Backbones, lists of prompts, pairs, data sets and downloads: what is there before the first run."""

import re

from pnapo.config.checks.names import unknown_model
from pnapo.config.schema import GIVEN, Config


def check_backbones(config: Config) -> str | None:
    if problem := unknown_model("backbones", config.backbones, config):
        return problem
    return "backbones: a name stands twice" if len(set(config.backbones)) != len(config.backbones) else None


def check_prompts(config: Config) -> str | None:
    prompts = config.prompts
    if prompts.selection.count < prompts.clusters.count:
        return (
            f"prompts.selection.count: {prompts.selection.count} prompts cannot be drawn from "
            f"{prompts.clusters.count} clusters; lower prompts.clusters.count"
        )
    safety = prompts.safety
    if safety.kind == "detoxify" and not safety.checkpoint:
        return "prompts.safety.checkpoint: is missing; kind detoxify needs one"
    if safety.kind == "column" and not safety.column:
        return "prompts.safety.column: is missing; kind column needs the name of one"
    if safety.kind == "column" and prompts.source.path is None:
        return "prompts.safety.kind: the embedded world's prompts come without scores; set kind: detoxify, or a source"
    return None


def check_shards(config: Config) -> str | None:
    count = config.prompts.selection.count
    if config.pairs.shards > count:
        return (
            f"pairs.shards: {config.pairs.shards} files cannot be filled with the {count} prompts of "
            "prompts.selection.count; lower pairs.shards"
        )
    return None


def check_datasets(config: Config) -> str | None:
    for name, dataset in config.datasets.items():
        if name in ("selected", *config.testsets):
            return f"datasets.{name}: a list of prompts is called so; choose another name"
        if config.pairs.shards > dataset.count:
            return f"datasets.{name}.count: {dataset.count} pairs cannot fill the {config.pairs.shards} files of pairs.shards"
    return None


def check_given(config: Config) -> str | None:
    """The name of a data set's own preference."""
    for section, names in (("rewards", config.rewards), ("preferences", config.preferences)):
        if GIVEN in names:
            return f"{section}.{GIVEN}: the name is taken by a data set's own preference; choose another"
    return None


def check_testsets(config: Config) -> str | None:
    for name, testset in config.testsets.items():
        if name == "selected":
            return "testsets.selected: the name is taken by the training prompts; choose another"
        if (testset.source is None) == (testset.path is None):
            return f"testsets.{name}: give either source (a list of the embedded world) or path (a file)"
    return None


def check_downloads(config: Config) -> str | None:
    for name, download in config.downloads.items():
        where, owner = f"downloads.{name}", next(n for n, d in config.downloads.items() if d.path == download.path)
        if (download.repo is None) == (download.url is None):
            return f"{where}: give either repo (of the model hub) or url (of a file)"
        if download.repo and not re.fullmatch(r"[\w.-]+/[\w.-]+", download.repo):
            return f"{where}.repo: {download.repo!r} is not a repository; write owner/name"
        if download.url and not re.fullmatch(r"https?://\S+", download.url):
            return f"{where}.url: {download.url!r} is not an address; it begins with https://"
        if isinstance(download.sha256, dict) == bool(download.url) and download.sha256:
            return f"{where}.sha256: give one hash for a url, and hashes by the files' names for a repo"
        hashes = download.sha256.values() if isinstance(download.sha256, dict) else [download.sha256 or "0" * 8]
        for value in hashes:
            if not re.fullmatch(r"[0-9a-f]{8,64}", value):
                return (
                    f"{where}.sha256: {value!r} is not a SHA-256; write its 64 digits 0-9 a-f, or the first 8 or more"
                )
        if download.url and (download.files or download.revision != "main"):
            return f"{where}: files and revision are for a repository"
        if owner != name:
            return f"{where}.path: {owner} is fetched to the same place; choose another"
    return None
