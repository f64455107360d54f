"""What a reader must be warned of: what trainings said of themselves, and what tables and artefacts show.

Each warning states what the data show, with the run, the seed and the step. The detectors are those of `pnapo.watch`
(docs/warnings.md); beside them stand facts that make a result weaker, but are no trouble of a training.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pnapo.artifacts import read_json, read_manifest
from pnapo.config.schema import Run
from pnapo.report.collect import Results, trained_on
from pnapo.tables.labels import label, testset_label
from pnapo.tables.scores import BASE
from pnapo.watch import KINDS as TROUBLES
from pnapo.watch import Finding
from pnapo.watch.evaluation import guidance_mismatch, resolution_mismatch
from pnapo.watch.rewards import Gain, reward_hacking

_TAIL = 0.2  # the share of steps at the end that the clipping is looked at in


@dataclass(frozen=True)
class Warning:
    """One warning: where, a sentence with the numbers, and its kind, a key of KINDS."""

    where: str
    text: str
    kind: str


KINDS = {
    **TROUBLES,
    "stopped": "training stopped",
    "gradient": "gradient clipped in most of the last steps",
    "ties": "many tied pairs",
    "seeds": "one training seed only",
}


def clipped(log: pd.DataFrame, max_grad_norm: float) -> str | None:
    """A sentence, if the gradient was clipped in most of the last fifth of the steps."""
    norms = log["grad_norm"].to_numpy(np.float64)[-max(1, int(len(log) * _TAIL)) :]
    share = float((norms > max_grad_norm).mean())
    if share <= 0.5:
        return None
    return f"the gradient was clipped in {100 * share:.0f} % of the last steps (max_grad_norm {max_grad_norm:g})"


def said(text: str, step: int, steps: int) -> str:
    """A finding's sentence with its step, unless that is the one whose weights are shown."""
    return f"step {step}: {text}" if step != steps else text


def training(results: Results, backbone: str, name: str, run: Run) -> Iterator[tuple[str, int, str]]:
    """What trainings said, and what their logs show: kind, seed, sentence."""
    for seed, log in zip(run.seeds, results.logs[backbone, name]):
        warned = read_json(results.folder / "runs" / backbone / f"{name}-s{seed}" / "warnings.json")
        for found in warned["warnings"]:
            yield found["name"], seed, said(found["text"], found["step"], run.steps)
        if stopped := warned["stopped"]:
            text = (
                f"training was stopped after step {stopped['after']} of {run.steps}; all that is shown of it, of later"
            )
            yield "stopped", seed, f"{text} snapshots too, is of the weights of step {stopped['weights']}"
        if text := clipped(log, run.max_grad_norm):
            yield "gradient", seed, text


def hacking(results: Results, backbone: str, name: str) -> Iterator[tuple[str, Finding]]:
    """(test set, finding) where a reward that a run was trained on rose and a metric that it was not trained on fell: along its
    snapshots, where these are scored, else at its end."""
    own = trained_on(results.config, results.config.runs[name])
    ends, budget = results.comparisons, results.optional.get("budget")
    steps = results.settings(backbone, name)["steps"]
    tables = [ends[ends["opponent"] == BASE].assign(step=steps), *([] if budget is None else [budget])]
    for testset in results.testsets:
        curves: dict[str, dict[int, Gain]] = {}
        for table in tables:
            mine = table[(table["backbone"] == backbone) & (table["run"] == name) & (table["testset"] == testset)]
            for row in mine.itertuples():
                gain = Gain(int(row.step), row.gain, row.gain_low, row.gain_high)
                curves.setdefault(row.metric, {})[gain.step] = gain
        ordered = {metric: [points[step] for step in sorted(points)] for metric, points in curves.items()}
        for reward in own:
            others = {metric: curve for metric, curve in ordered.items() if metric == reward or metric not in own}
            yield from ((testset, finding) for finding in reward_hacking(others, reward))


def tested(results: Results, backbone: str, name: str, run: Run) -> Iterator[tuple[str, Finding]]:
    """(test set, finding) where images were made otherwise than the checkpoint was trained, or the base model's images."""
    for testset in results.testsets:
        folder = results.folder / "images" / backbone
        base = read_manifest(folder / BASE / testset / "manifest.json", "images")["settings"]
        for seed in run.seeds:
            made = results.folder / "runs" / backbone / f"{name}-s{seed}" / "manifest.json"
            checkpoint = read_manifest(made, "checkpoint")["settings"]
            images = read_manifest(folder / f"{name}-s{seed}" / testset / "manifest.json", "images")["settings"]
            found = [*guidance_mismatch(checkpoint, images)]
            if results.config.models[backbone].mixed_guidance:
                found = [replace(one, text=f"{one.text} (mixed_guidance: this is meant)") for one in found]
            found += resolution_mismatch(checkpoint, images, base["resolution"])
            yield from ((testset, finding) for finding in found)
            if found:  # one seed's stand for all
                break


def check(results: Results) -> list[Warning]:
    """Every warning, in the order of backbones and runs."""
    found = []
    config = results.config
    for backbone in config.backbones:
        for name, run in results.methods_on(backbone).items():
            where = f"{label(backbone)}, {label(name)}"
            kinds: dict[str, list[tuple[int, str]]] = {}
            for kind, seed, text in training(results, backbone, name, run):
                kinds.setdefault(kind, []).append((seed, text))
            for kind, hits in kinds.items():
                seeds = ", ".join(str(seed) for seed, _ in hits)
                place = f"{where}, {'seed' if len(hits) == 1 else 'seeds'} {seeds}" if len(run.seeds) > 1 else where
                more = f" (figures of seed {hits[0][0]})" if len(hits) > 1 else ""
                found.append(Warning(place, hits[0][1] + more, kind))
            sides = hacking(results, backbone, name), tested(results, backbone, name, run)
            alike: dict[tuple[str, str], list[str]] = {}  # what is found on several test sets is said once
            for testset, finding in (hit for side in sides for hit in side):
                text = said(finding.text, finding.step, results.settings(backbone, name)["steps"])
                alike.setdefault((text, finding.name), []).append(testset_label(testset))
            found += [Warning(f"{where}, {', '.join(sets)}", *hit) for hit, sets in alike.items()]
        for (owner, data, reward), pairs in results.labels.items():
            if owner == backbone and pairs["tie"].mean() > 0.1:
                place = f"{label(backbone)}, {label(data)}" if data else label(backbone)
                text = f"{100 * pairs['tie'].mean():.0f} % of the pairs are tied under {label(reward)} and unused"
                found.append(Warning(place, text, "ties"))
    single = [label(name) for name, run in results.methods.items() if len(run.seeds) == 1]
    if single:
        text = "one training seed: the intervals cover the choice of prompts, not the chance in training"
        found.append(Warning(", ".join(single), text, "seeds"))
    return found


def counts(warnings: list[Warning]) -> str:
    """How many warnings there are of each kind, in one line."""
    kinds = [w.kind for w in warnings]
    return "; ".join(
        text + (f" ({kinds.count(kind)} times)" if kinds.count(kind) > 1 else "")
        for kind, text in KINDS.items()
        if kind in kinds
    )
