"""The grammar: captions of scenes, in GenEval's wording and in paraphrases, and scenes as JSON."""

import json
from collections.abc import Sequence

import numpy as np

from pnapo.errors import UserError
from pnapo.world.scenes import BACKGROUNDS, COLORS, COUNTS, FAMILIES, RELATIONS, SHAPES, Scene, Thing

OPENERS = ("an image of", "a picture of", "a drawing of", "an illustration of")
JOINS = ("together with", "next to", "beside", "as well as")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
SYNONYMS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
STYLES = (
    "flat colors",
    "sharp edges",
    "clean lines",
    "minimal design",
    "vector art",
    "high contrast",
    "simple shapes",
    "highly detailed",
    "digital art",
    "soft light",
    "bold outlines",
    "modern poster",
    "children book",
    "trending today",
    "award winning",
)
MOODS = (
    "calm and balanced composition",
    "a quiet afternoon in the studio",
    "as seen in an old geometry book",
    "made for the wall of a kindergarten",
    "simple enough to be cut from paper",
    "everything else is left empty",
)


def _noun(thing: Thing, plural: bool = False) -> str:
    name = thing.shape + ("s" if plural and not thing.shape.endswith("s") else "es" if plural else "")
    return f"{thing.color} {name}" if thing.color else name


def _subject(scene: Scene, rng: np.random.Generator | None) -> str:
    """The objects in words: GenEval's wording without `rng`, a random paraphrase with it."""
    first = scene.things[0]
    if scene.family == "counting":
        words = f"{COUNTS[len(scene.things)]} {_noun(first, plural=True)}"
        return words if rng is None else str(rng.choice([words, f"exactly {words}", f"a group of {words}"]))
    if len(scene.things) == 1:
        words = f"a {_noun(first)}"
        if rng is not None and first.color:
            words = str(rng.choice([words, f"one {_noun(first)}", f"a {first.shape} in {first.color}"]))
        return words if rng is None or first.color else str(rng.choice([words, f"one {_noun(first)}"]))
    second = scene.things[1]
    if scene.relation:
        if rng is None:
            return f"a {_noun(first)} {scene.relation} a {_noun(second)}"
        if rng.random() < 0.5:
            return f"a {_noun(first)} {rng.choice(SYNONYMS[scene.relation])} a {_noun(second)}"
        return f"a {_noun(second)} {rng.choice(SYNONYMS[INVERSE[scene.relation]])} a {_noun(first)}"
    if rng is None:
        return f"a {_noun(first)} and a {_noun(second)}"
    return f"a {_noun(first)} {rng.choice(JOINS)} a {_noun(second)}"


def caption(scene: Scene) -> str:
    """GenEval's wording, e.g. "a photo of a red circle and a blue square on a gray background"."""
    ground = f" on a {scene.background} background" if scene.background else ""
    return f"a photo of {_subject(scene, None)}{ground}"


def paraphrase(scene: Scene, rng: np.random.Generator) -> str:
    """The same scene in other words; never the wording of `caption`."""
    ground = ""
    if scene.background:
        ground = str(rng.choice([" on {}", " with a {} background", " against a {} background"])).format(
            scene.background
        )
    return f"{rng.choice(OPENERS)} {_subject(scene, rng)}{ground}"


def with_styles(text: str, rng: np.random.Generator, count: int) -> str:
    """Append `count` style phrases, as prompts in the wild carry them."""
    return ", ".join([text, *rng.choice(STYLES, count, replace=False)])


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption as the base models see them: half GenEval's wording, half paraphrases, many with styles or moods."""
    if rng.random() < 0.1:
        return freeform(scene, rng)
    text = caption(scene) if rng.random() < 0.5 else paraphrase(scene, rng)
    return with_styles(text, rng, int(rng.integers(1, 4))) if rng.random() < 0.33 else text


def freeform(scene: Scene, rng: np.random.Generator) -> str:
    """A longer prompt: a paraphrase, two styles and a mood."""
    return f"{with_styles(paraphrase(scene, rng), rng, 2)}, {rng.choice(MOODS)}"


def words(extra: Sequence[str] = ()) -> list[str]:
    """Every word of the grammar, sorted: the vocabulary of the tiny tokenizers."""
    texts = [*OPENERS, *JOINS, *STYLES, *MOODS, *BACKGROUNDS, *COLORS, *SHAPES, *COUNTS.values(), *RELATIONS, *extra]
    texts += [word for pair in SYNONYMS.values() for word in pair] + [f"{s}s" for s in SHAPES] + ["crosses"]
    texts += ["a an photo of and on one in with against background exactly group the very really"]
    return sorted({word for text in texts for word in text.split()})


def scene_to_json(scene: Scene) -> str:
    """The scene as one line of JSON."""
    things = [[t.shape, t.color] for t in scene.things]
    value = {"family": scene.family, "things": things, "relation": scene.relation, "background": scene.background}
    return json.dumps(value, sort_keys=True)


def scene_from_json(text: str) -> Scene:
    """The inverse of `scene_to_json`. Raises UserError if the text is not a scene."""
    try:
        value = json.loads(text)
        things = tuple(Thing(shape, color) for shape, color in value["things"])
        scene = Scene(value["family"], things, value["relation"], value["background"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"not a scene of the embedded world: {text[:60]!r}") from None
    if scene.family not in FAMILIES or any(t.shape not in SHAPES for t in scene.things):
        raise UserError(f"not a scene of the embedded world: {text[:60]!r}")
    return scene


def geneval_entry(scene: Scene) -> dict:
    """The scene in the form of GenEval's metadata: tag, include, exclude, prompt."""
    if scene.family == "counting":
        thing, count = scene.things[0], len(scene.things)
        include = [{"class": thing.shape, "count": count}]
        return {
            "tag": "counting",
            "include": include,
            "exclude": [{"class": thing.shape, "count": count + 1}],
            "prompt": caption(scene),
        }
    include = [{"class": t.shape, "count": 1} | ({"color": t.color} if t.color else {}) for t in scene.things]
    if scene.relation:
        # GenEval's wording: the second entry is the one that lies `relation` of the first.
        include = [{"class": scene.things[1].shape, "count": 1}, {"class": scene.things[0].shape, "count": 1}]
        include[1]["position"] = [scene.relation, 0]
    return {"tag": scene.family, "include": include, "prompt": caption(scene)}
