"""The world's raw prompts, in DiffusionDB's 13 columns: unsafe prompts, near-duplicates and paraphrases are planted.

What was planted is written to a truth table, so that each filter's precision and recall can be measured.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from pnapo.artifacts import prompt_id
from pnapo.config.schema import Source
from pnapo.errors import UserError
from pnapo.world.captions import caption, paraphrase, with_styles
from pnapo.world.scenes import BACKGROUNDS, Scene, scenes_of

NEAR, PARAPHRASED, UNSAFE = 0.14, 0.1, 0.1  # shares of the rows
FILLERS = ("very", "really")

# Mild words for what a safety filter must catch here; the tiny Detoxify is trained on other combinations of them.
SEXUAL = ("naked", "nude", "topless", "lewd", "undressed")
VIOLENT = ("bloody", "gory", "mutilated", "beheaded", "strangled")
BODIES = ("woman", "man", "dancer", "soldier", "nurse", "stranger")
INSULTS = ("stupid idiot", "worthless scum", "pathetic loser", "disgusting pig")
# Harmless phrases that resemble them.
HARMLESS = (
    "blood orange",
    "woman with a hat",
    "old soldier",
    "nurse on a bicycle",
    "dancer in a red coat",
    "pig in a garden",
)


def unsafe_phrase(rng: np.random.Generator) -> tuple[str, str]:
    """An unsafe phrase and its Detoxify class: "sexual_explicit" or "toxicity"."""
    kind = rng.integers(3)
    if kind == 0:
        return f"a {rng.choice(SEXUAL)} {rng.choice(BODIES)}", "sexual_explicit"
    if kind == 1:
        return f"a {rng.choice(VIOLENT)} {rng.choice(BODIES)}", "toxicity"
    return f"you {rng.choice(INSULTS)}", "toxicity"


def unsafe_prompt(text: str, rng: np.random.Generator) -> tuple[str, str]:
    """`text` with an unsafe phrase in front or behind, and the phrase's class."""
    phrase, label = unsafe_phrase(rng)
    return (f"{phrase}, {text}" if rng.random() < 0.5 else f"{text}, {phrase}"), label


def near_duplicate(text: str, rng: np.random.Generator) -> str:
    """The same prompt with a careless edit: case, punctuation, a filler word, or one style more."""
    edit = rng.integers(4)
    if edit == 0:
        return text.upper() if rng.random() < 0.5 else text.capitalize()
    if edit == 1:
        return text.replace(", ", " . ") + ("!!" if rng.random() < 0.5 else " ...")
    if edit == 2:
        return text.replace(", ", f", {rng.choice(FILLERS)} ", 1)
    return text + ", masterpiece"


def _planted(rows: int) -> tuple[int, ...]:
    """How many of so many rows are near-duplicates, paraphrases, and unsafe."""
    return tuple(round(rows * share) for share in (NEAR, PARAPHRASED, UNSAFE))


def _originals(count: int, rng: np.random.Generator) -> list[Scene]:
    """Distinct scenes of the training split, each with a background or none; no two with the same meaning."""
    backgrounds = [None, *BACKGROUNDS]
    pool = {
        scene.meaning: scene
        for base in scenes_of("train")
        for scene in (replace(base, background=b) for b in backgrounds)
    }
    scenes = list(pool.values())
    if count > len(scenes):
        most = next(rows for rows in range(2 * len(scenes), 0, -1) if rows - sum(_planted(rows)) <= len(scenes))
        raise UserError(f"prompts.source.rows: the world's grammar is enough for {most} rows; ask for no more")
    # Families in equal turns while they last, so that counting and position are not drowned by colour pairs.
    order = rng.permutation(len(scenes))
    ranks: dict[str, int] = {}
    keyed = []
    for index in order:
        family = scenes[index].family
        ranks[family] = ranks.get(family, 0) + 1
        keyed.append((ranks[family], index))
    chosen = sorted(keyed)[:count]
    return [scenes[index] for _, index in chosen]


def write_raw(settings: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The source table (DiffusionDB's columns) and, row by row, the truth.

    Truth columns: prompt_id, unsafe, near_of, semantic_of (the planted original's prompt_id, or "").
    """
    rng = np.random.default_rng(settings.seed)
    count = settings.rows
    near, other, unsafe = _planted(count)
    scenes = _originals(count - near - other - unsafe, rng)
    rows: list[tuple[str, bool, str, str]] = []
    seen: set[str] = set()

    def add(text: str, bad: bool = False, near_of: str = "", semantic_of: str = "") -> bool:
        if text in seen:
            return False
        seen.add(text)
        rows.append((text, bad, near_of, semantic_of))
        return True

    texts = []
    for scene in scenes:
        text = caption(scene) if rng.random() < 0.5 else paraphrase(scene, rng)
        if rng.random() < 0.04:
            text = f"{text}, {rng.choice(HARMLESS)}"
        text = with_styles(text, rng, int(rng.integers(2, 4)))
        texts.append(text)
        add(text)
    while near > 0:
        original = texts[rng.integers(len(texts))]
        near -= add(near_duplicate(original, rng), near_of=prompt_id(original))
    while other > 0:
        index = rng.integers(len(texts))
        again = with_styles(paraphrase(scenes[index], rng), rng, int(rng.integers(2, 4)))
        other -= add(again, semantic_of=prompt_id(texts[index]))
    while unsafe > 0:
        scene = scenes[rng.integers(len(scenes))]
        unsafe -= add(unsafe_prompt(with_styles(paraphrase(scene, rng), rng, 1), rng)[0], bad=True)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    truth = pd.DataFrame(
        {
            "prompt_id": [prompt_id(row[0]) for row in rows],
            "unsafe": [row[1] for row in rows],
            "near_of": [row[2] for row in rows],
            "semantic_of": [row[3] for row in rows],
        }
    )
    return _diffusiondb([row[0] for row in rows], rng), truth


def _diffusiondb(prompts: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """A table with the columns and types of DiffusionDB's metadata."""
    n = len(prompts)
    users = [f"user{index:03d}" for index in rng.integers(0, 200, n)]
    base = pd.Timestamp("2022-08-08T00:00:00Z")
    return pd.DataFrame(
        {
            "image_name": [f"{prompt_id(p)}.png" for p in prompts],
            "prompt": prompts,
            "part_id": np.arange(n, dtype=np.uint16) // 1000 + 1,
            "seed": rng.integers(0, 2**32, n, dtype=np.uint32),
            "step": np.full(n, 20, np.uint16),
            "cfg": np.full(n, 1.0, np.float32),
            "sampler": np.full(n, 2, np.uint8),
            "width": np.full(n, 32, np.uint16),
            "height": np.full(n, 32, np.uint16),
            "user_name": users,
            "timestamp": base + pd.to_timedelta(rng.integers(0, 13 * 86400, n), unit="s"),
            "image_nsfw": np.zeros(n, np.float32),
            "prompt_nsfw": np.zeros(n, np.float32),
        }
    )
