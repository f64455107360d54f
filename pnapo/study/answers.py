"""Read a study's key and the answers that people saved. What does not fit is named with its file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pnapo.artifacts import sha256
from pnapo.artifacts.files import parse_json
from pnapo.errors import UserError
from pnapo.study import ANSWERS_KIND, CHOICES, KEY_KIND, QUESTIONS


class Key(NamedTuple):
    """What the page does not tell: which run stands left and right in each pair."""

    study: str
    runs: list[str]  # as given to `make`
    sides: list[tuple[str, str]]  # left, right


class Answers(NamedTuple):
    """The raters in the order of their names, and what they said: int [Q, R, P], 1 left, 0 no difference, −1 right."""

    raters: list[str]
    values: np.ndarray


def load(path: Path | str, advice: str) -> dict[str, Any]:
    """The JSON object of a file that nobody can make again. Raises UserError that ends with the advice."""
    try:
        value = parse_json(Path(path).read_bytes().decode("utf-8-sig", "surrogatepass"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); {advice}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a JSON object; {advice}")
    return value


def read_key(path: Path | str) -> Key:
    """The key of a study. Raises UserError if it is damaged, or if the page beside it is not the one that was made."""
    advice = "give the .key.json that `pnapo study make` wrote"
    found = load(path, advice)
    try:
        key = Key(found["study"], found["settings"]["runs"], [(pair["left"], pair["right"]) for pair in found["pairs"]])
        page, recorded = Path(path).with_name(found["page"]["name"]), found["page"]["sha256"]
        good = found["kind"] == KEY_KIND and key.sides and isinstance(key.runs, list)
        good = good and [pair["pair"] for pair in found["pairs"]] == list(range(1, len(key.sides) + 1))
        good = good and {run for pair in key.sides for run in pair} == set(key.runs)
        # Each run once, and each two of them on some pair: else a row of the table would be of nothing.
        good = good and all(left != right for left, right in key.sides)
        good = good and len(set(map(frozenset, key.sides))) == len(key.runs) * (len(key.runs) - 1) // 2
        good = good and all(isinstance(text, str) for text in [key.study, recorded, *key.runs])
    except (KeyError, TypeError, ValueError):  # a page of another folder has no name
        good = False
    if not good:
        raise UserError(f"{path}: not the key of a study; {advice}")
    if page.is_file() and sha256(page) != recorded:
        raise UserError(f"{page}: not the page of {path}; put the one back that people were given, or take it away")
    return key


def read_answers(paths: Sequence[Path | str], key: Key) -> Answers:
    """The answers of all raters, each of whom has answered everything once. Raises UserError that names the first misfit."""
    found: dict[str, tuple[Path | str, np.ndarray]] = {}
    for path in paths:
        rater, values = _read(path, key)
        same = next((other for other in found if other.casefold() == rater.casefold()), None)
        if same is not None:
            raise UserError(f"{path}: rater {rater!r} answers in {found[same][0]} already; keep one of the two")
        found[rater] = path, values
    if not found:
        raise UserError("no answers given: name the files that the raters saved")
    raters = sorted(found)
    return Answers(raters, np.stack([found[rater][1] for rater in raters], axis=1))


def _read(path: Path | str, key: Key) -> tuple[str, np.ndarray]:
    """Who answers in this file, and what: int [Q, P]."""
    advice = "ask the rater for the file again"
    found = load(path, advice)
    if found.get("kind") != ANSWERS_KIND or not isinstance(found.get("answers"), list):
        raise UserError(f"{path}: not the answers of a study; give files that its page saved")
    if found.get("study") != key.study:
        raise UserError(f"{path}: answers of study {found.get('study')!r}, not of {key.study!r}; take it away")
    given = found.get("rater")
    rater = " ".join(given.split()) if isinstance(given, str) else ""
    if not rater:
        raise UserError(f"{path}: no rater is named; {advice}")
    answers: dict[int, dict] = {}
    for answer in found["answers"]:
        pair = answer.get("pair") if isinstance(answer, dict) else None
        if type(pair) is not int or pair not in range(1, len(key.sides) + 1) or pair in answers:
            raise UserError(f"{path}: answers pair {pair!r}, which is not there or is answered before; {advice}")
        answers[pair] = answer
    values = np.zeros((len(QUESTIONS), len(key.sides)), np.int64)
    for q, (name, title, _) in enumerate(QUESTIONS):
        for pair in range(1, len(key.sides) + 1):
            choice = answers.get(pair, {}).get(name)
            if choice is None:
                raise UserError(f"{path}: pair {pair} has no answer on {title}; {advice}")
            if not isinstance(choice, str) or choice not in CHOICES:
                raise UserError(f"{path}: pair {pair}, {title}: {choice!r} is none of {', '.join(CHOICES)}; {advice}")
            values[q, pair - 1] = CHOICES[choice]
    return rater, values
