# Lists of prompts, pair sets and labels: where they lie, and which of them runs ask for.
from pnapo.objectives.paths import PATHS

SELECTED = "selected"  # the list of training prompts, beside the test sets
SHARDS = [f"{shard:05d}" for shard in range(CONFIG.pairs.shards)]


def prompt_list(name):
    """The table of the training prompts, or those of a data set or test set."""
    if name in CONFIG.datasets:
        return f"<results>/prompts/datasets/{name}.parquet"
    return f"<results>/prompts/{name}.parquet" if name == SELECTED else f"<results>/testsets/{name}.parquet"


def dataset_files(name):
    """The parquet files of a data set, in order; none if it is not here (helpers/required.smk)."""
    return files_of(CONFIG.datasets[name].path)


def testset_files(name):
    """The files of a test set's prompts; none if it is a list of the embedded world."""
    path = CONFIG.testsets[name].path or []
    return [file for one in ([path] if isinstance(path, str) else path) for file in files_of(one)]


def list_of(data):
    """The list of prompts of a wildcard `data`: empty for the model's own pairs, else the folder of a data set."""
    return data.rpartition("/")[2] or SELECTED


def embeddings_of(wildcards):
    """The embeddings of the prompts of pairs."""
    return f"<results>/embeddings/{{backbone}}/{list_of(wildcards.data)}/manifest.json"


def pair_set(path, data):
    """The manifest of the pair set whose noises a path is given."""
    folder = {"inverted": "inverted/", "truncated": "truncated/"}.get(PATHS[path].noise, "")
    return f"<results>/pairs/{{backbone}}{data}/{folder}manifest.json"


def label_tables():
    """The labels that runs train with, each once."""
    runs = [(backbone, run) for backbone in CONFIG.backbones for run in runs_on(CONFIG, backbone).values()]
    return list(dict.fromkeys(f"<results>/{label_table(run)}".format(backbone=backbone) for backbone, run in runs))
