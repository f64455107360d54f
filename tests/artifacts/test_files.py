"""A file is whole or not there, whatever happens to the process that writes it."""

import hashlib
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from pnapo.artifacts import atomic_path, files_of, prompt_id, read_json, sha256, write_json, write_text
from pnapo.errors import UserError

fork = multiprocessing.get_context("fork")


def test_a_prompts_identity_is_the_hash_of_its_exact_text():
    text = "a naïve ring 😀"
    assert prompt_id(text) == hashlib.sha256(text.encode()).hexdigest()[:16]
    near = [text, text + " ", text.upper(), text + "\n", text.replace("ï", "i\N{COMBINING DIAERESIS}"), ""]
    assert len({prompt_id(t) for t in near}) == len(near)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    for name in ("new.txt", "old.txt"):
        file = tmp_path / name
        if name == "old.txt":
            write_text(file, "old")
        with pytest.raises(error), atomic_path(file) as temporary:
            temporary.write_text("half")
            raise error
    assert [f.name for f in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_a_writer_that_never_wrote_its_file_is_an_error_not_an_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "deep" / "file.bin"):
        pass
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    file = tmp_path / "file.bin"
    file.write_bytes(b"old")

    def write():
        with atomic_path(file) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)

    process = fork.Process(target=write)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert file.read_bytes() == b"old"


def test_two_writers_of_one_file_do_not_spoil_each_other(tmp_path):
    file, size = tmp_path / "file.bin", 200_000
    file.write_bytes(b"0" * size)

    def write(letter):
        for _ in range(25):
            with atomic_path(file) as temporary, open(temporary, "wb") as handle:
                for _ in range(10):
                    handle.write(letter * (size // 10))

    writers = [fork.Process(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen = file.read_bytes()
        assert len(seen) == size and len(set(seen)) == 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert file.read_bytes()[:1] in (b"a", b"b")
    assert [f.name for f in tmp_path.iterdir()] == ["file.bin"]


def test_writers_within_one_process_use_other_files_too(tmp_path):
    """As do processes with one number on two machines."""
    file = tmp_path / "file.txt"
    with atomic_path(file) as one, atomic_path(file) as other:
        one.write_text("one")
        other.write_text("other")
    assert file.read_text() == "one" and [f.name for f in tmp_path.iterdir()] == ["file.txt"]


def test_json_is_written_in_one_way_and_read_back(tmp_path):
    value = {"b": [1, 0.1, None, "é😀\n", "half \ud83d"], "a": {}}  # half a surrogate pair occurs in the wild
    write_json(tmp_path / "a.json", value)
    write_json(tmp_path / "b.json", dict(reversed(value.items())))
    assert read_json(tmp_path / "a.json") == value
    assert sha256(tmp_path / "a.json") == sha256(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_text("utf-8", "surrogatepass").startswith('{\n  "a": {},\n  "b"')
    with pytest.raises(ValueError):
        write_json(tmp_path / "nan.json", {"loss": float("nan")})
    assert not (tmp_path / "nan.json").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-4]), "not valid JSON"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "not valid JSON"),
        (lambda file: file.unlink(), "no such file"),
        (lambda file: (file.unlink(), file.mkdir()), "is a folder"),
    ],
    ids=["truncated", "other bytes", "missing", "folder"],
)
def test_damaged_json_is_named(tmp_path, damage, message):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    damage(file)
    with pytest.raises(UserError) as error:
        read_json(file)
    assert str(error.value).startswith(f"{file}: {message}") and "\n" not in str(error.value)


def test_a_path_means_a_file_a_folder_or_what_fits_a_pattern(tmp_path):
    for name in ("b.parquet", "a.parquet", "a[1].txt", "c.json"):
        (tmp_path / name).touch()
    found = {
        path: [Path(file).name for file in files_of(tmp_path / path)]
        for path in ("", "*.json", "a*", "none", "a[1].txt")
    }
    assert found[""] == ["a.parquet", "b.parquet"] and found["*.json"] == ["c.json"] and found["none"] == []
    assert found["a*"] == ["a.parquet", "a[1].txt"] and found["a[1].txt"] == ["a[1].txt"]  # a name before a pattern
