"""Names that stand in files lead nowhere but below the folder of the file."""

import json
import os
from pathlib import Path

import pytest

from pnapo.artifacts import read_json, read_manifest, write_json, write_manifest
from pnapo.artifacts.manifest import LISTINGS, is_inside
from pnapo.errors import UserError
from pnapo.pairs.store import read_pairs_manifest

OUTSIDE = ["../secret", "a/../../secret", "/etc/passwd", "..", "", "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_lists_no_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    manifest = {"kind": "notes", "settings": {"a": 1}, "files": {name: {"bytes": 6, "sha256": "x" * 64}}}
    write_json(tmp_path / "in" / "manifest.json", manifest)
    with pytest.raises(UserError, match="is not a file of its folder"):
        read_manifest(tmp_path / "in" / "manifest.json")
    assert is_inside("samples/a..b.json") and not is_inside(name)
    write_json(tmp_path / "in" / "manifest.json", manifest | {"kind": LISTINGS[0]})
    if name == "../secret":  # a listing of tables vouches for what lies beside their folder, too
        read_manifest(tmp_path / "in" / "manifest.json")
    else:
        with pytest.raises(UserError, match="is not a file of its folder"):
            read_manifest(tmp_path / "in" / "manifest.json")


def test_a_pair_set_reads_no_shard_that_it_does_not_list(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    extra = {"shards": ["../other.json"], "prompt_ids": [], "latent_shape": [1, 1, 1]}
    write_manifest(tmp_path, "pairs", {}, ["a"], **extra)
    with pytest.raises(UserError, match="not the manifest of a pair set"):
        read_pairs_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("[" * 100_000, "recursion"),
        ("9" * 10_000, "4300"),
        ('{"a": "\\u0000', "not valid JSON"),
    ],
)
def test_json_that_python_would_take_or_die_of(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=said) as found:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": [], "settings": {}, "files": {}},
        {"kind": "x", "settings": [], "files": {}},
        {"kind": "x", "settings": {}, "files": {"a": {"bytes": "1", "sha256": "x"}}},
        {"kind": "x", "settings": {}, "files": {"a": {"bytes": True, "sha256": "x"}}},
    ],
)
def test_a_manifest_has_the_types_of_one(tmp_path: Path, content: dict) -> None:
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="not a manifest"):
        read_manifest(tmp_path / "m.json")


def test_a_hub_repository_writes_nowhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from types import SimpleNamespace

    import huggingface_hub

    from pnapo.config.schema import Download
    from pnapo.fetch import fetch

    sibling = SimpleNamespace(rfilename="../../evil.pt", size=1, lfs=None)
    answer = SimpleNamespace(siblings=[sibling], sha="0" * 40)
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *_, **__: answer)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: os._exit(3))
    with pytest.raises(UserError, match=r"a/b: lists '\.\./\.\./evil\.pt', which is not a file of its folder"):
        fetch(Download(repo="a/b", path=str(tmp_path / "x")), print)


def test_what_a_table_notes_for_pandas_is_not_obeyed(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pnapo.artifacts import read_table

    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    for number, noted in enumerate((b"\xe1", b'{"index_columns": ["a"], "columns": []}', b"[" * 9000)):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(table.replace_schema_metadata({b"pandas": noted}), path)
        assert list(read_table(path)["a"]) == [1, 2]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"a": broken}), path)
    with pytest.raises(UserError, match="not a readable parquet file"):
        read_table(path)
