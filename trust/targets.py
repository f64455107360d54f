"""What the fuzzer throws bytes at: each reader of files that others may have written.

A target takes the bytes of one file and returns whether they were accepted. It raises for what must not be: anything but
UserError out of the reader, a message that is not one line, or `Wrong` where damage was taken for whole.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pandas as pd

from pnapo.artifacts.seal import KEY, RESULTS
from trust import exports, studies
from trust.reading import VALUES, Target, Wrong, edited, survives

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(tempfile.gettempdir())  # where files are written; whoever runs many inputs chooses another


# Configurations.


@cache
def _base() -> dict:
    from pnapo.config.loading import read_yaml

    return read_yaml(ROOT / "config.yaml")


def _config(data: bytes) -> bool:
    """A file laid on the shipped configuration, as an overlay is."""
    from pnapo.config.loading import merge, read_yaml, validate

    path = FOLDER / "config.yaml"
    path.write_bytes(data)
    return survives(lambda: validate(merge(_base(), read_yaml(path))))


def _configs() -> list[bytes]:
    return [
        b"runs: {pnapo: {beta: 1e3, on: {sd3: {steps: 3}}, seeds: [0, 1], snapshots: [2]}}\n",
        b"name: &a x\nresults: *a\ntestsets:\n  heldout: &b {source: heldout, count: 3}\n  own: {<<: *b, steps: 2}\n",
        b"downloads: {a: {url: 'https://x/y', path: y, sha256: '00000000'}, b: {repo: a/b, path: c, files: ['*.json']}}\n",
        b"datasets: {own: {path: a.parquet, images: [a, b], scores: [c, d], count: 9}}\nmetrics: {geneval: null}\n",
        b"tuning: {testset: heldout, metric: hps, beta: [1, .5], learning_rate: [1], steps: [1]}\nruns: {sft: {tune: true}}\n",
        b"claims: {reward: hps, testset: heldout, method: pnapo}\nstatistics: {bootstrap: 10, confidence: .9}\nseed: 0x1f\n",
    ]


# Prompt lists: the first byte says of which kind.

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".parquet")


def _prompts(data: bytes) -> bool:
    from pnapo.benchmarks.testsets import read_testset
    from pnapo.prompts.sources import columns_of, load_prompts

    if not data:
        return False
    path = FOLDER / f"prompts{SUFFIXES[data[0] % len(SUFFIXES)]}"
    path.write_bytes(data[1:])
    columns_of(path)
    found: list[pd.DataFrame] = []
    accepted = survives(lambda: found.append(load_prompts(path)))
    if accepted and not all(isinstance(text, str) and text.strip() and text.encode() for text in found[0]["prompt"]):
        raise Wrong("a prompt that is no text")
    survives(lambda: read_testset(path))
    return accepted


def _prompt_lists() -> list[bytes]:
    texts = ["a red ring", "=1+1", 'zwei Ringe, "blau"\n', ""]
    frame = pd.DataFrame({"prompt": texts, "kind": ["a", "b", None, ""]})
    entry = {
        "tag": "counting",
        "include": [{"class": "ring", "count": 2, "color": "red"}],
        "exclude": [],
        "prompt": "two rings",
    }
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    lists = {
        ".json": frame.to_json(orient="records").encode(),
        ".jsonl": json.dumps(entry).encode() + b"\n" + frame.to_json(orient="records", lines=True).encode(),
        ".csv": frame.to_csv(index=False).encode(),
        ".tsv": b"prompt\tkind\na red ring\ta\n",
        ".txt": "\n".join(texts).encode(),
        ".parquet": parquet.getvalue(),
    }
    return [bytes([SUFFIXES.index(suffix)]) + data for suffix, data in lists.items()]


# Exported pair sets and studies, which others may have written whole.


def _export(data: bytes) -> bool:
    return exports.accepts(data, FOLDER)


def _study(data: bytes) -> bool:
    return studies.accepts(data, FOLDER)


# A pair set of two prompts, its manifests, tensors and labels.


@cache
def pair_set() -> Path:
    """The manifest of a small pair set of noises that are what their keys say, with labels."""
    folder = Path(tempfile.mkdtemp(prefix="pairs-", dir=FOLDER))
    with _results(folder):
        return _write_pair_set(folder)


@contextmanager
def _results(folder: Path) -> Iterator[None]:
    """While it is the results folder of a workflow, a file is sealed for its place, and one without a seal is refused."""
    os.environ[RESULTS] = str(folder)
    try:
        yield
    finally:
        del os.environ[RESULTS]


def _write_pair_set(folder: Path) -> Path:
    import torch

    from pnapo.artifacts import write_table
    from pnapo.config.schema import Pairs
    from pnapo.pairs.generate import noises
    from pnapo.pairs.labels import label
    from pnapo.pairs.shards import Shard, asked_of, write_shard
    from pnapo.pairs.store import collect

    wanted, ids, shape = Pairs(shards=1), ["0123456789abcdef", "fedcba9876543210"], (1, 2, 2)
    noise = noises(wanted.seed, ids, wanted.samples, shape)
    made = {**asked_of(wanted), "family": "sd3", "model": "m", "latent_shape": list(shape)}
    shard = folder / "samples" / "shard.json"
    write_shard(shard, Shard(ids, noise, torch.zeros_like(noise)), made, seed=wanted.seed)
    collect([shard], wanted, folder / "manifest.json")
    scores = torch.arange(4.0).view(2, 2).numpy()
    write_table(folder / "labels" / "hps.parquet", label(ids, scores))
    return folder / "manifest.json"


@cache
def _whole() -> dict[str, bytes]:
    """The files of the pair set by name."""
    folder = pair_set().parent
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _with(name: str, data: bytes) -> Path:
    """A copy of the pair set in which the file `name` has other bytes."""
    folder = FOLDER / "changed"
    for known, content in {**_whole(), name: data}.items():
        (folder / known).parent.mkdir(parents=True, exist_ok=True)
        (folder / known).write_bytes(content)
    return folder / "manifest.json"


def _edits(name: str) -> list[bytes]:
    edits = [bytes([1, level, 128 + level, value]) for level in range(8) for value in range(0, len(VALUES), 5)]
    return [b"\0" + _whole()[name], b"\0" + _unsealed(name), *edits]


def _unsealed(name: str) -> bytes:
    found = json.loads(_whole()[name])
    found.pop(KEY)
    return json.dumps(found, indent=1).encode()


def _open(manifest: Path) -> None:
    from pnapo.pairs.preferences import load_pairs

    load_pairs(manifest, manifest.parent / "labels" / "hps.parquet")


def _verdict(manifest: Path) -> list[str]:
    """What `pnapo verify` says of every file of a pair set."""
    from pnapo.verify import inside, verify

    return [problem for path in inside(manifest.parent) for problem in verify(path)[1]]


def _refused(manifest: Path, name: str, data: bytes) -> None:
    """In a results folder, where everything is sealed, other bytes are damage."""
    if data == _whole()[name]:
        return
    with _results(manifest.parent):
        if survives(lambda: _open(manifest)) or not _verdict(manifest):
            raise Wrong(f"a damaged {name} was accepted")


def _manifest(data: bytes) -> bool:
    """As damage, and, where no seal is asked for, as an attack."""
    name = "manifest.json"
    data = edited(data, _unsealed(name))
    manifest = _with(name, data)
    _refused(manifest, name, data)
    accepted = survives(lambda: _open(manifest))
    _verdict(manifest)
    return accepted


def _shard_manifest(data: bytes) -> bool:
    """As an attacker would: what lists the manifest lists its new hash."""
    name = "samples/shard.json"
    data = edited(data, _unsealed(name))
    manifest = _with(name, data)
    _refused(manifest, name, data)
    _relist(manifest, name, data)
    accepted = survives(lambda: _open(manifest))
    _verdict(manifest)
    return accepted


def _relist(manifest: Path, name: str, data: bytes) -> None:
    content = json.loads(manifest.read_text("utf-8"))
    content["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest.write_text(json.dumps(content), "utf-8")


def _shard(data: bytes) -> bool:
    """Other bytes under the old hashes are damage; under new ones an attack."""
    name = "samples/shard.safetensors"
    manifest = _with(name, data)
    whole = data == _whole()[name]
    _refused(manifest, name, data)
    for listed, below in ((manifest.parent / "samples" / "shard.json", "shard.safetensors"), (manifest, name)):
        _relist(listed, below, data)
    _relist(manifest, "samples/shard.json", (manifest.parent / "samples" / "shard.json").read_bytes())
    accepted = survives(lambda: _open(manifest))
    found = _verdict(manifest)
    if accepted and not found and not whole:
        import torch

        from pnapo.pairs.store import PairSet

        ours, theirs = PairSet.open(pair_set()), PairSet.open(manifest)
        rows = range(len(ours))
        if not torch.equal(ours.noise(rows).view(torch.int32), theirs.noise(rows).view(torch.int32)):
            raise Wrong("a noise that is not what its key says was accepted")
    return accepted


def _labels(data: bytes) -> bool:
    manifest = _with("labels/hps.parquet", data)
    _refused(manifest, "labels/hps.parquet", data)
    if not survives(lambda: _open(manifest)):
        return False
    from pnapo.pairs.preferences import load_pairs

    pairs = load_pairs(manifest, manifest.parent / "labels" / "hps.parquet")
    if not ((pairs.gap > 0) & pairs.gap.isfinite()).all():
        raise Wrong("a gap that says nothing was accepted")
    return True


def _label_tables() -> list[bytes]:
    """The whole one, and tables of other types and values."""
    whole = _whole()["labels/hps.parquet"]
    frame = pd.read_parquet(io.BytesIO(whole))
    changes = [
        {"gap": float("nan")},
        {"gap": -1.0},
        {"loser": frame["winner"]},
        {"tie": 0},
        {"tie": "no"},
        {"winner": 0.5},
    ]
    changes += [{"winner": None}, {"gap": "1"}, {"winner": 7}, {"tie": True}, {"prompt_id": 3}, {"gap": float("inf")}]
    found = [whole]
    for change in changes:
        table = io.BytesIO()
        frame.assign(**change).to_parquet(table, compression=None)
        found.append(table.getvalue())
    return found


TARGETS = {
    "config": Target(_config, _configs),
    "prompts": Target(_prompts, _prompt_lists),
    "manifest": Target(_manifest, lambda: _edits("manifest.json")),
    "shard_manifest": Target(_shard_manifest, lambda: _edits("samples/shard.json")),
    "shard": Target(_shard, lambda: [_whole()["samples/shard.safetensors"]]),
    "labels": Target(_labels, _label_tables),
    "export": Target(_export, exports.seeds),
    "study": Target(_study, studies.seeds),
}
