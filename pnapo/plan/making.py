"""What the rules ask for that make things: prompts, pairs, labels and trainings (rules/prompts.smk to rules/train.smk)."""

from collections.abc import Iterable, Iterator

from pnapo.config.resolve import grid
from pnapo.config.schema import GIVEN, Config
from pnapo.objectives.paths import PATHS
from pnapo.plan.jobs import SELECTED, Job, job, owners, resolved, whole_visits


class Making:
    """What each rule asks for, under the rule's own name. `data` is "" for the pairs that the model made."""

    def __init__(self, config: Config):
        self.config = config
        self.owners = owners(config)
        self.tuned = [run for run in config.runs if grid(config, run)]

    # Prompts

    def write_source(self) -> Iterable[Job]:
        return ()

    def read_source(self) -> Iterable[Job]:
        return () if self.config.prompts.source.path else [job("write_source")]

    def filter_unsafe(self) -> Iterable[Job]:
        return [job("read_source")]

    def drop_near_duplicates(self) -> Iterable[Job]:
        return [job("filter_unsafe")]

    def drop_semantic_duplicates(self) -> Iterable[Job]:
        return [job("drop_near_duplicates")]

    def cluster_prompts(self) -> Iterable[Job]:
        return [job("drop_semantic_duplicates")]

    def select_prompts(self) -> Iterable[Job]:
        return [job("cluster_prompts")]

    def funnel_table(self) -> Iterable[Job]:
        return [job("select_prompts")]

    def write_testset(self, name: str) -> Iterable[Job]:
        return ()

    def read_dataset(self, data: str) -> Iterable[Job]:
        return ()

    # Pairs

    def embed_prompts(self, backbone: str, name: str) -> Iterable[Job]:
        if name == SELECTED:
            return [job("select_prompts")]
        return [job("read_dataset" if name in self.config.datasets else "write_testset", name)]

    def generate_pairs(self, backbone: str, shard: int) -> Iterable[Job]:
        return [job("embed_prompts", backbone, SELECTED)]

    def encode_dataset(self, backbone: str, data: str, shard: int) -> Iterable[Job]:
        return [job("read_dataset", data)]

    def samples(self, backbone: str, data: str, shard: int) -> Job:
        made = job("generate_pairs", backbone, shard)
        return job("encode_dataset", backbone, data, shard) if data else made

    def shards(self, make, *key) -> list[Job]:
        return [make(*key, shard) for shard in range(self.config.pairs.shards)]

    def collect_pairs(self, backbone: str) -> Iterable[Job]:
        return self.shards(self.samples, backbone, "")

    def collect_dataset(self, backbone: str, data: str) -> Iterable[Job]:
        return self.shards(self.samples, backbone, data)

    def invert_pairs(self, backbone: str, data: str, shard: int) -> Iterable[Job]:
        return [self.samples(backbone, data, shard), job("embed_prompts", backbone, data or SELECTED)]

    def collect_inverted(self, backbone: str, data: str) -> Iterable[Job]:
        return self.shards(lambda *key: job("invert_pairs", *key), backbone, data)

    def truncate_pairs(self, backbone: str, shard: int) -> Iterable[Job]:
        return [job("generate_pairs", backbone, shard)]

    def collect_truncated(self, backbone: str) -> Iterable[Job]:
        return self.shards(lambda *key: job("truncate_pairs", *key), backbone)

    def decode_pairs(self, backbone: str, data: str, shard: int) -> Iterable[Job]:
        return [self.samples(backbone, data, shard)]

    def pair_set(self, backbone: str, data: str, path: str) -> Job:
        noise = PATHS[path].noise
        if noise == "inverted":
            return job("collect_inverted", backbone, data)
        if noise == "truncated":
            return job("collect_truncated", backbone)
        return job("collect_dataset", backbone, data) if data else job("collect_pairs", backbone)

    # Labels

    def label(self, backbone: str, data: str, name: str) -> Job:
        """What makes the labels of a reward, a preference or a data set."""
        if name == GIVEN:
            return job("read_dataset", data)
        return job("calibrate_labels" if name in self.config.preferences else "label_pairs", backbone, data, name)

    def label_pairs(self, backbone: str, data: str, reward: str) -> Iterable[Job]:
        pairs = self.pair_set(backbone, data, "stored")
        return [pairs, *self.shards(lambda *key: job("decode_pairs", *key), backbone, data)]

    def calibrate_labels(self, backbone: str, data: str, preference: str) -> Iterable[Job]:
        rewards = self.config.preferences[preference].rewards
        return [job("label_pairs", backbone, data, reward) for reward in rewards]

    # Training

    def cache_reference(
        self, backbone: str, data: str, path: str, time_sampling: str, seed: int, visit: int
    ) -> Iterable[Job]:
        return [self.pair_set(backbone, data, path), job("embed_prompts", backbone, data or SELECTED)]

    def train(self, backbone: str, run: str, seed: int) -> Iterator[Job]:
        own = self.config.runs[self.owners.get(run, run)]
        data = own.data or ""
        yield self.pair_set(backbone, data, own.path)
        yield self.label(backbone, data, own.reward)
        yield job("embed_prompts", backbone, data or SELECTED)
        visits = whole_visits(self.config, resolved(self.config, backbone, run))
        key = (backbone, data, own.path, own.time_sampling, seed)
        yield from (job("cache_reference", *key, visit) for visit in range(visits))
        if run in self.tuned:
            yield job("choose", backbone, run)
