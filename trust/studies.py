"""The target of studies: a key and the answers of raters, one of them changed, as `pnapo study analyse` reads them.

The first byte says whether the key or the answers of one rater are changed, the others how (`trust.reading.edited`). What is
accepted must be answers, once and in words that the page has, on pairs that the key tells apart; the table is worked out again.
"""

import json
import tempfile
from functools import cache
from math import isfinite, isnan
from pathlib import Path

import pandas as pd

from trust.reading import VALUES, Wrong, edited, survives

RUNS = ("pnapo-s0", "diffusion_dpo-s0", "base")
QUESTIONS = {"overall": "overall preference", "appeal": "visual appeal", "alignment": "text alignment"}
CREDIT = {"left": 1.0, "same": 0.5, "right": 0.0}


@cache
def _whole() -> dict[str, bytes]:
    """A page, its key, and the answers of two raters as the page saves them, by name."""
    import numpy as np

    from pnapo.artifacts import prompt_id, write_table
    from pnapo.artifacts.images import encode_png, png_writer
    from pnapo.study.make import make

    with tempfile.TemporaryDirectory(prefix="study-") as temporary:
        root, texts = Path(temporary), [f"a photo of {n} rings" for n in range(4)]
        ids = [prompt_id(text) for text in texts]
        write_table(root / "testsets/heldout.parquet", pd.DataFrame({"prompt_id": ids, "prompt": texts}))
        for number, run in enumerate(RUNS):
            pixels = np.random.default_rng(number).integers(0, 256, (len(ids), 2, 2, 3), dtype=np.uint8)
            with png_writer(root / f"images/sd3/{run}/heldout/manifest.json", {"steps": 20}) as add:
                add(ids, [0] * len(ids), [encode_png(image) for image in pixels])
        made = make(root, "sd3", RUNS, "heldout", len(texts), 0, root / "study.html")
        found = {path.name: path.read_bytes() for path in (made.page, made.key)}
    return found | {f"{rater}.json": _answers(made.study, rater, turn) for turn, rater in enumerate(("Ann", "Bo"))}


def _answers(study: str, rater: str, turn: int) -> bytes:
    words = list(CREDIT)
    said = [{name: words[(turn + n * q) % 3] for q, name in enumerate(QUESTIONS)} for n in range(4)]
    answers = [{"pair": n, "seconds": 1.5, "answered": "2026-01-01", **one} for n, one in enumerate(said, start=1)]
    content = {"kind": "study answers", "study": study, "rater": rater, "started": "2026-01-01", "answers": answers}
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


CHANGED = ("Ann.json", "study.key.json")


def seeds() -> list[bytes]:
    """Both whole, then both with edits: a value in another place each."""
    found = [bytes([number, 0]) + _whole()[name] for number, name in enumerate(CHANGED)]
    places = ([0], [1], [2], [4], [4, 0, 0], [4, 1, 3], [5], [6], [6, 0], [6, 1, 2])
    edits = [[1, *place[:-1], 128 + place[-1], value] for place in places for value in range(0, len(VALUES), 4)]
    return found + [bytes([number, *edit]) for number in range(len(CHANGED)) for edit in edits]


def accepts(data: bytes, folder: Path) -> bool:
    """Whether the changed study is taken. Raises `Wrong` for a table that its files do not say."""
    if not data:
        return False
    from pnapo.study.analyse import analyse

    changed = CHANGED[data[0] % len(CHANGED)]
    files = {**_whole(), changed: edited(data[1:], _whole()[changed])}
    folder = folder / "study"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    tables: list[pd.DataFrame] = []
    key, raters = folder / "study.key.json", [folder / "Ann.json", folder / "Bo.json"]
    if not survives(lambda: tables.append(analyse(key, raters, folder / "table.csv"))):
        return False
    written = pd.read_csv(folder / "table.csv", dtype={"run": str, "against": str}, keep_default_na=False)
    if len(written) != len(tables[0]):
        raise Wrong("the table is written with other rows")
    _require_said(tables[0], *(_distinct(files[path.name]) for path in (key, *raters)))
    return True


def _distinct(data: bytes) -> dict:
    """A JSON object no key of which stands twice."""

    def hook(pairs: list) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise Wrong("a key that stands twice was accepted")
        return dict(pairs)

    return json.loads(data.decode("utf-8-sig", "surrogatepass"), object_pairs_hook=hook)


def _require_said(table: pd.DataFrame, key: dict, *raters: dict) -> None:
    runs, pairs = key["settings"]["runs"], key["pairs"]
    if len(set(runs)) < len(runs) or any(pair["left"] == pair["right"] for pair in pairs):
        raise Wrong("a run that is compared with itself was accepted")
    if [pair["pair"] for pair in pairs] != list(range(1, len(pairs) + 1)):
        raise Wrong("pairs in another order than the page's were accepted")
    said: dict[tuple, list[float]] = {}
    for rater in raters:
        if not isinstance(rater["rater"], str) or rater["study"] != key["study"]:
            raise Wrong("answers of nobody, or of another study, were accepted")
        numbers = [answer["pair"] for answer in rater["answers"]]
        if {type(n) for n in numbers} != {int} or sorted(numbers) != list(range(1, len(pairs) + 1)):
            raise Wrong(f"answers on pairs {numbers!a} were accepted")
        for answer in rater["answers"]:
            pair = pairs[answer["pair"] - 1]
            for name, title in QUESTIONS.items():
                credit = CREDIT[answer[name]]
                said.setdefault((title, pair["left"], pair["right"]), []).append(credit)
                said.setdefault((title, pair["right"], pair["left"]), []).append(1 - credit)
    if len(table) != len(QUESTIONS) * len(runs) * (len(runs) - 1) // 2 or table.empty:
        raise Wrong("not a row for each question and pairing")
    for row in table.itertuples():
        credits = said[row.question, row.run, row.against]
        good = row.raters == len(raters) and row.raters * row.pairs == len(credits)
        good &= abs(row.share - sum(credits) / len(credits)) < 1e-9 and 0 <= row.low <= row.high <= 1
        good &= row.wins + row.losses <= row.pairs and 0 < row.p <= 1 and (isnan(row.alpha) or isfinite(row.alpha))
        if not good:
            raise Wrong(f"the answers do not say {tuple(row)!a}")
