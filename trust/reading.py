"""What all targets of the fuzzer share: what a reader of foreign files may do with them, and edits of whole JSON files."""

import json
from collections.abc import Callable
from typing import NamedTuple

from pnapo.errors import UserError


class Wrong(AssertionError):
    """Something was accepted that should not have been."""


class Target(NamedTuple):
    """A reader under test, and whole files to begin from."""

    accepts: Callable[[bytes], bool]
    seeds: Callable[[], list[bytes]]


def survives(work: Callable[[], object]) -> bool:
    """Whether it succeeds. Raises `Wrong` for a UserError that is not one line, and what is no UserError goes through."""
    try:
        work()
    except UserError as error:
        if "\n" in str(error) or not str(error).strip():
            raise Wrong(f"not one line: {str(error)!a}") from None
        return False
    return True


VALUES = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "../x",
    "0" * 64,
    [],
    {},
    [1],
    {"a": 1},
    [[[]]],
    "2",
    "\0",
)


def edited(data: bytes, whole: bytes) -> bytes:
    """Bytes as they are after a 0, else edits of a whole JSON file: a byte a level to where, then what to put there."""
    if not data or data[0] == 0:
        return data[1:]
    value, rest = json.loads(whole), list(data[1:])
    while rest:
        at, keys = value, []
        while rest and isinstance(at, dict | list) and at:
            byte = rest.pop(0)
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = keys[byte % len(keys)]
            if byte >= 128 or not isinstance(at[key], dict | list) or not at[key]:
                new = VALUES[rest.pop(0) % len(VALUES)] if rest else None
                if byte % 16 == 15:
                    del at[key]
                else:
                    at[key] = json.loads(json.dumps(new))
                break
            at = at[key]
        if not keys:
            break
    return json.dumps(value).encode()
