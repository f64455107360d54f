"""A sealed file that was damaged anywhere, or that lies in the place of another, is found."""

import os

import pandas as pd
import pytest
import torch

from pnapo.artifacts import read_record, read_table, require_seal, write_record, write_table, write_tensors
from pnapo.artifacts.seal import read_seal, seal_problem
from pnapo.errors import UserError

# A prompt may be anything, such as a seal.
HOSTILE = f"pnapo-seal:{'0' * 64}:a;" + '\n  "seal": "pnapo-seal:' + "0" * 64 + ":;"
WRITERS = {
    "record.json": lambda path: write_record(path, {"a": HOSTILE, "z": [1.5, {"seal": HOSTILE}], HOSTILE: 1}),
    "table.parquet": lambda path: write_table(path, pd.DataFrame({"prompt": [HOSTILE, "b"], "score": [0.1, 0.2]})),
    "tensors.safetensors": lambda path: write_tensors(path, {"a": torch.ones(3)}, {"text": HOSTILE}, seal=True),
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder, as a job of the workflow knows it."""
    folder = tmp_path / "results ;é"
    monkeypatch.setenv("PNAPO_RESULTS", str(folder))
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_every_flipped_bit_and_every_cut_is_found(results, name):
    file = results / "deep" / name
    WRITERS[name](file)
    data = file.read_bytes()
    assert seal_problem(file) is None and read_seal(file).place == f"deep/{name}"
    bad = [i for i in range(len(data)) if not _found(file, data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :])]
    assert bad == []
    assert [i for i in range(0, len(data), 7) if not _found(file, data[:i])] == []
    assert _found(file, data + b" ")


def _found(file, data) -> bool:
    file.write_bytes(data)
    return seal_problem(file) is not None


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_in_the_place_of_another_is_found(results, name):
    one, other = results / "a" / name, results / "b" / name
    for file in (one, other):
        WRITERS[name](file)
    os.replace(one, other)
    with pytest.raises(UserError) as error:
        require_seal(other)
    assert str(error.value) == f"{other}: lies in another's place, it was written as a/{name}; delete it and run again"


def test_the_same_content_in_the_same_place_gives_the_same_bytes(results, tmp_path, monkeypatch):
    for name, write in WRITERS.items():
        write(results / name)
    for name, write in WRITERS.items():
        monkeypatch.setenv("PNAPO_RESULTS", str(tmp_path / "other"))
        write(tmp_path / "other" / name)
        assert (tmp_path / "other" / name).read_bytes() == (results / name).read_bytes()


def test_files_of_users_need_no_seal_and_may_be_renamed(results, tmp_path):
    frame = pd.DataFrame({"a": [1]})
    write_table(results / "t.parquet", frame)
    os.replace(results / "t.parquet", tmp_path / "mine.parquet")
    assert list(read_table(tmp_path / "mine.parquet")["a"]) == [1]
    data = (tmp_path / "mine.parquet").read_bytes()
    (tmp_path / "mine.parquet").write_bytes(data[:9] + bytes([data[9] ^ 1]) + data[10:])
    with pytest.raises(UserError, match=r"mine\.parquet: damaged, its content is not what its seal says"):
        read_table(tmp_path / "mine.parquet")
    for folder in (tmp_path, results):
        frame.to_parquet(folder / "other.parquet")
        (folder / "other.json").write_text('{"a": 1}')
    assert read_record(tmp_path / "other.json") == {"a": 1} and len(read_table(tmp_path / "other.parquet")) == 1
    for name, read in (("other.parquet", read_table), ("other.json", read_record)):
        with pytest.raises(UserError, match="has no seal, so it is damaged or was not made by this workflow"):
            read(results / name)


def test_what_is_missing_is_left_to_the_reader(results):
    with pytest.raises(UserError, match="no such file"):
        read_record(results / "none.json")
