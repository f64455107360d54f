"""The repository's own configuration, to break in many ways."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pnapo.config import validate
from pnapo.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def _raw() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


@pytest.fixture
def raw(_raw: dict) -> dict:
    """config.yaml as a mapping of one's own."""
    return copy.deepcopy(_raw)


@pytest.fixture
def broken(raw: dict) -> Callable[..., str]:
    """What is said about config.yaml once the setting at a dotted path has another value."""

    def message(keys: str, value: object) -> str:
        *path, last = keys.split("/")
        section = raw
        for key in path:
            section = section[key]
        section[last] = value
        with pytest.raises(UserError) as found:
            validate(raw, "config.yaml")
        said = str(found.value)
        assert said.isprintable() and said.startswith("config.yaml: ")  # one line
        return said.removeprefix("config.yaml: ")

    return message
