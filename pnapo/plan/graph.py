"""Which jobs the workflow runs for a configuration, from nothing: `snakemake -n` in a fresh folder, without Snakemake.

The rules of rules/*.smk once more, each as what it asks for; targets (rules that run nothing) are left out. A test compares
the counts with Snakemake's own.
"""

from collections.abc import Iterable, Iterator

from pnapo.config.resolve import grid, policies, runs_on, stops
from pnapo.config.schema import Config
from pnapo.plan.jobs import Job, job, run_of
from pnapo.plan.making import Making


def jobs_of(config: Config) -> list[Job]:
    """Every job behind the default target, each once, in no particular order."""
    rules = Rules(config)
    found: dict[Job, None] = {}
    waiting = [*rules.all()]
    while waiting:
        wanted = waiting.pop()
        if wanted not in found:
            found[wanted] = None
            waiting += getattr(rules, wanted.rule)(*wanted.key)
    return list(found)


class Rules(Making):
    """All rules: those of `Making`, and those that measure what was made and tell of it."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.policies = {backbone: policies(config, backbone) for backbone in config.backbones}
        self.geneval = [name for name, metric in config.metrics.items() if metric.kind == "geneval"]

    # Targets

    def all(self) -> Iterator[Job]:
        config = self.config
        yield from (job("report"), job("curves")) if self.trained() else (job("report"),)
        for backbone in config.backbones:
            yield from (self.label(backbone, "", name) for name in (*config.rewards, *config.preferences))

    def report(self) -> Iterator[Job]:
        config = self.config
        yield from (job("funnel_table"), job("main_table"), job("compute_table"))
        yield from (job("geneval_table"),) if self.geneval else ()
        yield from (job("tuning_table"),) if self.tuned else ()
        yield from (job("budget_table"),) if config.budget else ()
        if config.claims:
            yield from (job("claims_table"), job("regimes_table"), job("geometry_table"))
        for backbone in config.backbones:
            runs = runs_on(config, backbone).values()
            yield from (self.label(backbone, run.data or "", run.reward) for run in runs)
        yield from (job("write_testset", name) for name in config.testsets)
        used = [name for name in config.testsets if any(name in metric.testsets for metric in config.metrics.values())]
        for backbone, names in self.policies.items():
            yield from (job("generate_images", backbone, policy, name) for policy in names for name in used)

    def trained(self) -> list[Job]:
        return [
            job("train", backbone, *run_of(policy))
            for backbone, names in self.policies.items()
            for policy in names
            if policy != "base"
        ]

    def choose(self, backbone: str, run: str) -> Iterator[Job]:
        tuning = self.config.tuning
        for point in grid(self.config, run):
            for step in stops(self.config, run):
                policy = f"{point}-s{tuning.seed}-at{step}"
                yield job("score_images", backbone, policy, tuning.testset, tuning.metric)

    # Benchmarks

    def generate_images(self, backbone: str, policy: str, testset: str) -> Iterator[Job]:
        yield job("embed_prompts", backbone, testset)
        if policy != "base":
            yield job("train", backbone, *run_of(policy))

    def score_images(self, backbone: str, policy: str, testset: str, metric: str) -> Iterable[Job]:
        return [job("generate_images", backbone, policy, testset), job("write_testset", testset)]

    def scores(self, metrics: Iterable[str]) -> Iterator[Job]:
        for backbone, names in self.policies.items():
            for policy in names:
                for metric in metrics:
                    for testset in self.config.metrics[metric].testsets:
                        yield job("score_images", backbone, policy, testset, metric)

    def curve_scores(self) -> Iterator[Job]:
        budget = self.config.budget
        for backbone in self.config.backbones if budget else ():
            if backbone not in (budget.backbones or [backbone]):
                continue
            runs = {name: run for name, run in runs_on(self.config, backbone).items() if run.snapshots}
            curves = [
                f"{n}-s{seed}-at{step}" for n, run in runs.items() for seed in run.seeds for step in run.snapshots
            ]
            for policy in ["base", *curves] if curves else ():
                for metric in budget.metrics:
                    yield job("score_images", backbone, policy, budget.testset, metric)

    # Tables

    def main_table(self) -> Iterable[Job]:
        return self.scores(self.config.metrics)

    def geneval_table(self) -> Iterable[Job]:
        return self.scores(self.geneval)

    def compute_table(self) -> Iterable[Job]:
        return self.trained()

    def curves(self) -> Iterable[Job]:
        return self.trained()

    def tuning_table(self) -> Iterator[Job]:
        for backbone in self.config.backbones:
            on = runs_on(self.config, backbone)
            yield from (job("choose", backbone, run) for run in self.tuned if run in on)

    def budget_table(self) -> Iterable[Job]:
        return self.curve_scores()

    # Claims

    def judged(self) -> list[str]:
        chosen = self.config.claims.backbones or self.config.backbones
        return [backbone for backbone in self.config.backbones if backbone in chosen]

    def measure_geometry(self, backbone: str) -> Iterable[Job]:
        return [job("collect_pairs", backbone), job("collect_inverted", backbone, "")]

    def measure_gradients(self, backbone: str) -> Iterable[Job]:
        return [*self.measure_geometry(backbone), self.label(backbone, "", self.config.lab.reward)]

    def measure_policy_gradients(self, backbone: str, run: str, seed: int) -> Iterable[Job]:
        return [*self.measure_gradients(backbone), job("train", backbone, run, seed)]

    def geometry_table(self) -> Iterator[Job]:
        for backbone in self.judged():
            yield from (job("measure_geometry", backbone), job("measure_gradients", backbone))

    def kl_table(self) -> Iterable[Job]:
        return ()

    def kl_world_table(self) -> Iterable[Job]:
        return [job("measure_geometry", backbone) for backbone in self.judged()]

    def claims_table(self) -> Iterator[Job]:
        yield from (job("kl_table"), job("kl_world_table"))
        yield from self.scores(self.config.metrics)
        yield from self.curve_scores()
        yield from self.geometry_table()
        claims = self.config.claims
        for backbone in self.judged():
            runs = runs_on(self.config, backbone)
            named = [run for run in (claims.method, claims.baseline) if run in runs]
            yield from (job("measure_policy_gradients", backbone, r, seed) for r in named for seed in runs[r].seeds)

    def regimes_table(self) -> Iterable[Job]:
        both = {self.config.claims.method, self.config.claims.baseline}
        on = [backbone for backbone in self.config.backbones if both <= set(runs_on(self.config, backbone))]
        return [*self.scores(self.config.metrics), *(job("measure_geometry", backbone) for backbone in on)]
