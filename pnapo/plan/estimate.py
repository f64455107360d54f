"""The whole of a plan: jobs, GPU-hours, memory and disk, rule by rule and backbone by backbone."""

from collections import Counter
from typing import NamedTuple

from pnapo.plan.advice import advice, unshared
from pnapo.plan.disk import Fetched, disk, downloads
from pnapo.plan.experiment import Experiment
from pnapo.plan.hardware import Rates
from pnapo.plan.jobs import Job
from pnapo.plan.memory import MEMORY, peak
from pnapo.plan.work import work

TIGHT = 0.9  # of a GPU's memory: estimates are not that sure


class Row(NamedTuple):
    """The jobs of a rule, on one backbone or on all."""

    rule: str
    backbone: str  # "" where the rule has none
    jobs: int
    gpu: bool  # whether they have a model
    gpu_hours: float
    longest_hours: float  # of one job, on the GPUs that it is spread over
    forward: int  # passes of the transformer, one image each
    backward: int
    peak_gib: float  # of the largest
    kept: float  # bytes on disk
    scratch: float  # bytes more while the largest job runs


class Estimate(NamedTuple):
    """Rows in the order in which jobs can run, the rules that do not fit with what would help, and what is fetched."""

    experiment: Experiment
    rates: Rates
    rows: list[Row]
    problems: list[str]
    downloads: list[Fetched]

    def total(self, name: str) -> float:
        return sum(getattr(row, name) for row in self.rows)

    def by_backbone(self) -> dict[str, float]:
        """GPU-hours."""
        hours = Counter()
        for row in self.rows:
            if row.backbone:
                hours[row.backbone] += row.gpu_hours
        return dict(hours)

    def fits(self, row: Row) -> str:
        """Whether the largest job fits: yes, tight or no; nothing for a rule without a model."""
        memory = self.rates.gpu.memory
        if not row.gpu or not row.peak_gib:
            return ""
        return "yes" if row.peak_gib <= TIGHT * memory else "tight" if row.peak_gib <= memory else "no"


def estimate(experiment: Experiment, rates: Rates) -> Estimate:
    """What a configuration costs on a GPU."""
    found: dict[tuple[str, str], Row] = {}
    largest: dict[tuple[str, str, str], tuple[float, Job]] = {}
    for job in reversed(experiment.jobs):
        backbone = job.key[0] if job.key and job.key[0] in experiment.backbones else ""
        does, held, size = work(experiment, job), peak(experiment, job), disk(experiment, job)
        hours, key = rates.seconds(does.flops) / 3600, (job.rule, backbone)
        row = found.get(key, Row(*key, 0, job.rule in MEMORY, 0, 0, 0, 0, 0, 0, 0))
        found[key] = row._replace(
            jobs=row.jobs + 1,
            gpu_hours=row.gpu_hours + hours,
            longest_hours=max(row.longest_hours, hours / experiment.gpus_of(job)),
            forward=row.forward + does.forward,
            backward=row.backward + does.backward,
            peak_gib=max(row.peak_gib, held or 0),
            kept=row.kept + size.kept,
            scratch=max(row.scratch, size.scratch),
        )
        which = experiment.owners.get(job.key[1], job.key[1]) if job.rule == "train" else ""
        if held and held > largest.get((*key, which), (rates.gpu.memory, None))[0]:
            largest[(*key, which)] = held, job
    rows = sorted(found.values(), key=lambda row: (ORDER.get(row.rule, len(ORDER)), row.rule, row.backbone))
    problems = advice(experiment, rates.gpu, [(job, held) for held, job in largest.values()])
    problems += unshared(experiment)
    return Estimate(experiment, rates, rows, problems, downloads(experiment))


# Rules with a model, in the order of the story.
_STORY = (
    "filter_unsafe drop_semantic_duplicates embed_prompts generate_pairs encode_dataset invert_pairs truncate_pairs "
    "decode_pairs label_pairs cache_reference train generate_images score_images measure_geometry measure_gradients "
    "measure_policy_gradients"
)
ORDER = {rule: place for place, rule in enumerate(_STORY.split())}
