"""A configuration with all that a plan asks of it: its models, its jobs, and how many prompts its lists hold."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pnapo.artifacts import files_of, read_json
from pnapo.config.resolve import pairs_of
from pnapo.config.schema import Config, Run
from pnapo.errors import UserError
from pnapo.plan import known, models
from pnapo.plan.encoders import Clip, Detector, Tower
from pnapo.plan.graph import jobs_of
from pnapo.plan.jobs import SELECTED, Job, owners, resolved


class Experiment:
    """Everything is looked up once; sharded trainings are split over `gpus` GPUs.

    Raises UserError if a list of test prompts is of unknown length.
    """

    def __init__(self, config: Config, gpus: int = 1):
        self.config, self.gpus = config, gpus
        self.backbones: Mapping[str, models.Backbone] = models.backbones(config)
        self.rewards: dict[str, Clip] = {name: models.reward(reward) for name, reward in config.rewards.items()}
        self.detectors: dict[str, Detector] = {
            name: models.detector(metric.mask2former)
            for name, metric in config.metrics.items()
            if metric.detector == "mask2former"
        }
        self.raw = _raw_prompts(config)
        self.testsets = {name: _test_prompts(config, name) for name in config.testsets}
        self._runs: dict[tuple[str, str], Run] = {}
        self.owners = owners(config)

    @cached_property
    def jobs(self) -> list[Job]:
        return jobs_of(self.config)

    @cached_property
    def safety(self) -> Tower:
        return models.safety(self.config)

    @cached_property
    def semantic(self) -> Clip:
        return models.open_clip(self.config.prompts.semantic.clip)

    def run(self, backbone: str, name: str) -> Run:
        """The settings of a run, or point of a grid, on a backbone."""
        if (backbone, name) not in self._runs:
            self._runs[backbone, name] = resolved(self.config, backbone, name)
        return self._runs[backbone, name]

    def gpus_of(self, job: Job) -> int:
        """GPUs that a job is sure to be spread over."""
        return self.gpus if job.rule == "train" and self.run(*job.key[:2]).sharded else 1

    def prompts(self, name: str) -> int:
        """Prompts of a list that is embedded."""
        if name == SELECTED:
            return self.config.prompts.selection.count
        return self.config.datasets[name].count if name in self.config.datasets else self.testsets[name]

    def pairs(self, data: str) -> int:
        """Prompts of a pair set, or pairs of a data set."""
        return self.prompts(data or SELECTED)

    def samples(self, data: str) -> int:
        """Images of each of them."""
        return 2 if data else self.config.pairs.samples

    def guidance(self, backbone: str, data: str) -> float:
        return self.config.datasets[data].guidance if data else pairs_of(self.config, backbone).guidance

    def shard(self, data: str, number: int) -> int:
        """Images in a shard (`pnapo.pairs.shards.slice_of`)."""
        small, extra = divmod(self.pairs(data), self.config.pairs.shards)
        return (small + (number < extra)) * self.samples(data)


def _rows(path: str) -> int | None:
    """Prompts in a list at most; None if it is not here."""
    return sum(map(_rows_in, map(Path, files_of(path)))) or None


def _rows_in(path: Path) -> int:
    kind = path.suffix.lower()
    if kind == ".parquet":
        from pyarrow.lib import ArrowInvalid
        from pyarrow.parquet import read_metadata

        try:
            return read_metadata(path).num_rows
        except ArrowInvalid:
            raise UserError(f"{path}: not a parquet file, or a damaged one; replace it") from None
    if kind == ".json":
        return len(read_json(path))
    with open(path, "rb") as handle:
        lines = sum(1 for line in handle if line.strip())
    return lines - (kind in (".csv", ".tsv"))


def _raw_prompts(config: Config) -> int | None:
    """Raw prompts at most, before any filter; None if nobody knows."""
    source = config.prompts.source
    if not source.path:
        return source.rows
    return known.ROWS.get(Path(source.path).name) or _rows(source.path)


def _test_prompts(config: Config, name: str) -> int:
    testset = config.testsets[name]
    paths = [testset.path] if isinstance(testset.path, str) else testset.path or []
    here = [_rows(path) for path in paths]
    whole = sum(filter(None, here)) if here and all(here) else known.TESTSETS.get(name)
    whole = known.WORLD[testset.source] if testset.source else whole
    if testset.count and (whole is None or testset.count < whole):
        return testset.count
    if whole is None:
        raise UserError(
            f"testsets.{name}.path: {' '.join(paths)} is not here, so nobody knows how many prompts it has; "
            "set `count`, or put the file there"
        )
    return whole
