"""Measure one metric on the images of one run and test set: a score for each image."""

import json
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts.images import Images
from pnapo.benchmarks.geneval import judge
from pnapo.config.schema import Metric, Reward
from pnapo.detectors.registry import load_detector
from pnapo.errors import UserError
from pnapo.rewards import load_reward


def _column(testset: pd.DataFrame, images: Images, name: str, origin: Path | str) -> list[str]:
    """A column of the test set for every image. Raises UserError if an image's prompt is not in it."""
    values = dict(zip(testset["prompt_id"], testset[name]))
    missing = [prompt_id for prompt_id in images.table["prompt_id"] if prompt_id not in values]
    if missing:
        raise UserError(f"{origin}: lacks prompt {missing[0]}, of which there is an image; make the images again")
    return [values[prompt_id] for prompt_id in images.table["prompt_id"]]


def _needed(testset: pd.DataFrame, images: Images, name: str, metric: str, origin: Path | str) -> list[str]:
    values = _column(testset, images, name, origin)
    if not all(values):
        raise UserError(f"{origin}: metric {metric} needs a test set with {name} metadata for every prompt")
    return values


def score_reward(
    images: Images,
    testset: pd.DataFrame,
    reward: Reward,
    device: str,
    origin: Path | str = "the test set",
) -> pd.DataFrame:
    """Scores on the tables' scale (raw × display_scale)."""
    scorer = load_reward(reward, device)
    prompts = _column(testset, images, "prompt", origin)
    parts = scorer.score_prepared(images.map(scorer.prepare), prompts)
    scores = np.fromiter(chain.from_iterable(parts), np.float32, len(prompts)) * scorer.display_scale
    return images.table.assign(score=scores.astype(np.float64))


def score_geneval(
    images: Images,
    testset: pd.DataFrame,
    metric: Metric,
    device: str = "cpu",
    origin: Path | str = "the test set",
) -> pd.DataFrame:
    """1 or 0 by GenEval's rules, with tag, correct, reason and the detector's name.

    Raises UserError if the list asks for a class that the detector does not know: it would count as never drawn.
    """
    detector = load_detector(metric, device)
    entries = [json.loads(text) for text in _needed(testset, images, "geneval", "geneval", origin)]
    asked = {item["class"] for entry in entries for part in ("include", "exclude") for item in entry.get(part, [])}
    unknown = sorted(asked.difference(detector.classes))
    if unknown:
        raise UserError(
            f"{origin}: metric geneval asks for {unknown[0]!r}, which the detector {detector.name} does not know; "
            "choose a detector of these classes"
        )
    rows = []
    for metadata, (image, found) in zip(entries, detector.look(images.map(detector.prepare))):
        color_of = partial(detector.color_of, image)
        correct, reason = judge(metadata, found, color_of, metric.rules)
        rows.append((float(correct), metadata["tag"], correct, reason, detector.name))
    columns = ("score", "tag", "correct", "reason", "detector")
    return images.table.assign(**{name: [row[i] for row in rows] for i, name in enumerate(columns)})


def score_utility(images: Images, testset: pd.DataFrame, origin: Path | str = "the test set") -> pd.DataFrame:
    """The embedded world's true utility, 0..1."""
    from pnapo.world.captions import scene_from_json
    from pnapo.world.utility import score

    scenes = [scene_from_json(text) for text in _needed(testset, images, "scene", "utility", origin)]
    return images.table.assign(score=[score(image, scene) for image, scene in zip(images, scenes)])


def score_images(
    images: Images,
    testset: pd.DataFrame,
    metric: Metric,
    reward: Reward | None = None,
    device: str = "cpu",
    origin: Path | str = "the test set",
) -> pd.DataFrame:
    """The table of scores: prompt_id, sample, score (on the scale that tables print); GenEval adds tag, correct, reason,
    detector.

    `origin` is what messages call the test set. Raises UserError if the test set lacks what the metric needs, or if a
    score is not finite.
    """
    if metric.kind == "reward":
        if reward is None:
            raise UserError(f"metric {metric.reward}: its reward's settings are missing; pass --reward")
        table = score_reward(images, testset, reward, device, origin)
    elif metric.kind == "geneval":
        if metric.detector is None:
            raise UserError("metric geneval: its detector is missing; set `detector`")
        table = score_geneval(images, testset, metric, device, origin)
    else:
        table = score_utility(images, testset, origin)
    bad = table.loc[~np.isfinite(table["score"]), "prompt_id"]
    if len(bad):
        raise UserError(f"metric {metric.kind}: the score of prompt {bad.iloc[0]} is not finite")
    return table
