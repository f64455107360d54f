"""Tables: the same frame gives the same bytes, and damage is named, also where parquet alone would not notice it."""

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import read_table, sha256, write_csv, write_table
from pnapo.errors import UserError


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    texts = ["two\nlines", "\x00\x1f", "😀", "<b>&amp;</b>", "", *(f"text {i}" for i in range(495))]
    return pd.DataFrame({"prompt": texts, "score": rng.random(500), "n": np.arange(500)})


def test_a_table_survives_unchanged(frame, tmp_path):
    write_table(tmp_path / "a.parquet", frame)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), frame)
    assert list(read_table(tmp_path / "a.parquet", ["n", "prompt"])) == ["n", "prompt"]
    assert [f.name for f in tmp_path.iterdir()] == ["a.parquet"]


def test_the_same_content_gives_the_same_bytes(frame, tmp_path):
    write_table(tmp_path / "a.parquet", frame)
    # Filtered from a longer table: another index, another place in memory, the same content.
    longer = pd.concat([frame.iloc[::-1], frame])
    write_table(tmp_path / "b.parquet", longer.iloc[500:])
    assert sha256(tmp_path / "a.parquet") == sha256(tmp_path / "b.parquet")
    for name in "ab":
        write_csv(tmp_path / f"{name}.csv", frame.copy())
    assert sha256(tmp_path / "a.csv") == sha256(tmp_path / "b.csv")


def test_a_missing_column_and_those_there_are_named(frame, tmp_path):
    file = tmp_path / "a.parquet"
    write_table(file, frame)
    with pytest.raises(UserError) as error:
        read_table(file, ["prompt", "gap"])
    assert str(error.value) == f"{file}: no column 'gap'; it has 'prompt', 'score', 'n'"


def flip(position):
    def damage(file):
        data = bytearray(file.read_bytes())
        data[int(position * len(data))] ^= 4
        file.write_bytes(data)

    return damage


def cut(share):
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *((cut(share), "not a readable parquet file") for share in (0, 0.3, 0.99)),
        *((flip(place), "damaged, its content is not what") for place in (0.2, 0.4, 0.6)),
        (lambda file: file.write_text("prompt\nhello\n"), "not a readable parquet file"),
        (lambda file: file.unlink(), "no such file"),
        (lambda file: (file.unlink(), file.mkdir()), "not a readable parquet file"),
    ],
)
def test_a_damaged_table_is_named(frame, tmp_path, damage, message):
    file = tmp_path / "a.parquet"
    write_table(file, frame)
    damage(file)
    with pytest.raises(UserError) as error:
        read_table(file)
    assert str(error.value).startswith(f"{file}: {message}") and "\n" not in str(error.value)


def test_csv_keeps_every_digit_and_leaves_missing_cells_empty(tmp_path):
    values = pd.DataFrame({"a": [0.1 + 0.2, 1e-300, np.nan], "b": ['x,\n"y"', "", None]})
    write_csv(tmp_path / "a.csv", values)
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n0.30000000000000004,"x,\n""y"""\n1e-300,\n,\n'
