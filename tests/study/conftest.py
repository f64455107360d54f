"""Results with images of three runs, as the benchmarks write them, and the answers of raters."""

import json

import numpy as np
import pandas as pd
import pytest

from pnapo.artifacts import prompt_id, write_table
from pnapo.artifacts.images import encode_png, png_writer

NASTY = [
    "</script><script>document.title = 'ran'</script><img src=http://x/y.png onerror=\"document.title = 'ran'\">",
    "<!-- <b>naïve</b> & \"quoted\" 'too' {{ data }} {% raw %} \\u003c",
    "line one\nline\ttwo \x07\u2028\u202eright to left\u202c 🙂 \ud800",
    "word " * 500,
]
PROMPTS = NASTY + [f"a photo of {n} rings" for n in range(56)]
RUNS = ("pnapo-s0", "diffusion_dpo-s0", "base")


@pytest.fixture
def results(tmp_path):
    """make(names, alike, settings): a results folder; image k has name k. Of `alike` prompts all pictures are the same."""

    def make(folder="results", names=RUNS, alike=0, settings=None):
        root = tmp_path / folder
        ids = [prompt_id(prompt) for prompt in PROMPTS]
        # A prompt with a lone surrogate cannot be a row; that it does not break a page is tested apart.
        prompts = [prompt.replace("\ud800", "") for prompt in PROMPTS]
        write_table(root / "testsets/heldout.parquet", pd.DataFrame({"prompt_id": ids, "prompt": prompts}))
        for number, name in enumerate(names):
            pixels = np.random.default_rng(number).integers(0, 256, (len(ids), 8, 8, 3), dtype=np.uint8)
            pixels[:alike] = 7
            made = (settings or {}).get(name, {"steps": 20})
            with png_writer(root / "images/sd3" / name / "heldout/manifest.json", made) as add:
                add(ids, [0] * len(ids), list(map(encode_png, pixels)))
        return root

    return make


@pytest.fixture
def key(tmp_path):
    """The path of a key of four pairs of runs A and B; A stands left in the first and third."""
    path = tmp_path / "study.key.json"
    sides = [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A")]
    found = {
        "kind": "study key",
        "study": "s1",
        "page": {"name": "study.html", "sha256": "0"},
        "settings": {"runs": ["A", "B"]},
        "pairs": [{"pair": n, "left": left, "right": right} for n, (left, right) in enumerate(sides, start=1)],
    }
    path.write_text(json.dumps(found))
    return path


@pytest.fixture
def answer(tmp_path):
    """answer(rater, overall, appeal, alignment): the path of a rater's file; an answer a letter, l, r or s (the same)."""

    def write(rater, *questions, study="s1", name=None):
        words = {"l": "left", "r": "right", "s": "same"}
        answers = [
            {"pair": n, **{q: words[a] for q, a in zip(("overall", "appeal", "alignment"), said) if a in words}}
            for n, said in enumerate(zip(*questions), start=1)
        ]
        path = tmp_path / f"{name or rater}.json"
        path.write_text(json.dumps({"kind": "study answers", "study": study, "rater": rater, "answers": answers}))
        return path

    return write
