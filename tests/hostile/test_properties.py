"""Readers of files that others may have written: whole ones are taken, any other is one clear line or another whole one.

The same targets that `trust/fuzz.py` spends minutes on; here a few changes to whole files, and what was found earlier.
"""

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trust import targets
from trust.targets import TARGETS

FOUND = sorted(Path(__file__).with_name("found").glob("*/*.b64"))  # inputs that broke a reader, by target


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory):
    targets.FOLDER = tmp_path_factory.mktemp("fuzz")
    targets.pair_set.cache_clear()
    targets._whole.cache_clear()


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_taken(name: str) -> None:
    accepted = [TARGETS[name].accepts(seed) for seed in TARGETS[name].seeds()]
    assert accepted[0] and (name != "prompts" or all(accepted))


def changed(seeds: list[bytes], draw) -> bytes:
    """A whole file with a few bytes changed, cut, doubled or put in."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 4, 1000])))
        values = (
            b"",
            b'"',
            b"}",
            b"[" * 3000,
            b"NaN",
            b"1e999",
            b"-1",
            b"\0",
            b"\xff",
            b"null",
            b"../x",
            b"*a",
            b"&a ",
        )
        put = draw(st.one_of(st.sampled_from(values), st.binary(max_size=4)))
        data = data[:start] + put + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_refused_or_make_sense(name: str) -> None:
    seeds = TARGETS[name].seeds()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def try_one(given_data) -> None:
        TARGETS[name].accepts(changed(seeds, given_data.draw))

    try_one()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name].accepts(base64.b64decode(path.read_bytes()))
