"""Removal of unsafe prompts, by Detoxify's scores or by those that the list comes with (paper section 4.1).

DiffusionDB's `prompt_nsfw` is the larger of two outputs of Detoxify's multilingual model, toxicity and sexual_explicit
(its scripts/detect-toxic-prompt.py), so with it no model has to run. The paper states no threshold but the share of prompts
that stays, 83.67 %.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts.pretrained import guarded, read_torch
from pnapo.config.schema import Safety
from pnapo.errors import UserError

# Classes of transformers that a checkpoint names, and how such names end.
NETWORKS = {"model_name": ("ForSequenceClassification",), "tokenizer_name": ("Tokenizer", "TokenizerFast")}


def load_detoxify(settings: Safety, device: str):
    """Detoxify with the checkpoint of the settings.

    The checkpoint is first read without running code from it (Detoxify itself would unpickle anything). Raises UserError
    if it is missing, damaged or holds more than plain data, or if a label is not among its classes.
    """
    loaded = read_torch(settings.checkpoint)
    if not isinstance(loaded, dict) or not {"config", "state_dict"} <= loaded.keys():
        raise UserError(f"{settings.checkpoint}: not a Detoxify checkpoint (it needs config and state_dict)")
    try:
        arguments, named = loaded["config"]["arch"]["args"], loaded["config"]["dataset"]["args"]["classes"]
    except (KeyError, TypeError):
        raise UserError(
            f"{settings.checkpoint}: not a Detoxify checkpoint (its config names no architecture or classes)"
        ) from None
    for key, ends in NETWORKS.items():
        name = arguments.get(key) if isinstance(arguments, dict) else None
        if not (isinstance(name, str) and name.isidentifier() and name.endswith(ends)):
            raise UserError(f"{settings.checkpoint}: not a Detoxify checkpoint ({key} is {name!r})")
    count = arguments.get("num_classes")
    if type(count) is not int or not isinstance(named, list) or count < len(named):
        raise UserError(
            f"{settings.checkpoint}: not a Detoxify checkpoint (num_classes is {count!r}, and its classes are {named!r})"
        )
    if settings.config_path and not Path(settings.config_path).is_dir():
        raise UserError(f"{settings.config_path}: no such folder")
    from detoxify import Detoxify

    model = guarded(lambda: _from_checked(Detoxify, settings, loaded, device), settings.checkpoint)
    missing = sorted(model.model.state_dict().keys() - loaded["state_dict"].keys())
    if missing:  # the library would quietly fill them with random numbers
        raise UserError(f"{settings.checkpoint}: lacks {len(missing)} weights of its model, such as {missing[0]}")
    unknown = [label for label in settings.labels if label not in model.class_names]
    if unknown:
        raise UserError(
            f"prompts.safety.labels: the checkpoint has no class {unknown[0]!r}; it has {', '.join(model.class_names)}"
        )
    return model


def _from_checked(detoxify, settings: Safety, loaded: dict, device: str):
    """Detoxify built from the checked content of the checkpoint: what it loads is written out again, plain."""
    import tempfile

    import torch

    arguments = loaded["config"]["arch"]["args"]
    with tempfile.TemporaryDirectory() as temporary:
        base, copy = settings.config_path and Path(temporary, "base"), Path(temporary, "checkpoint.ckpt")
        if base:
            _base_with(base, Path(settings.config_path), arguments)
            # Detoxify reads its base configuration by name before it looks at the folder given; point it there.
            arguments["model_type"] = str(base)
        torch.save(loaded, copy)
        return detoxify(checkpoint=str(copy), device=device, huggingface_config_path=base and str(base))


def _base_with(base: Path, folder: Path, arguments: dict) -> None:
    """The folder of the network's configuration and tokenizer again, with as many outputs as the checkpoint has.

    Detoxify takes a folder's configuration as it is, and that of a language model says nothing of classes.
    """
    import transformers

    kind = getattr(transformers, arguments["model_name"]).config_class
    kind.from_pretrained(folder, num_labels=arguments["num_classes"]).save_pretrained(base)
    for file in folder.iterdir():
        if file.name != "config.json":
            (base / file.name).symlink_to(file.resolve())


def toxicity(prompts: list[str], settings: Safety, device: str, log: Callable[[str], None] = print) -> np.ndarray:
    """The largest of the chosen Detoxify outputs for each prompt, float32 [N] in 0..1.

    Prompts of like length are scored together; texts beyond the tokenizer's length are cut, as Detoxify does.
    """
    model = load_detoxify(settings, device)
    order = np.argsort([len(text) for text in prompts], kind="stable")
    scores = np.empty(len(prompts), np.float32)
    for start in range(0, len(order), settings.batch):
        rows = order[start : start + settings.batch]
        found = model.predict([prompts[i] for i in rows])
        scores[rows] = np.max([np.atleast_1d(found[label]) for label in settings.labels], axis=0)
        done = start + len(rows)
        if done == len(order) or (start // settings.batch) % 50 == 49:
            log(f"safety: {done}/{len(order)} prompts")
    return scores


def threshold_of(scores: np.ndarray, settings: Safety) -> float:
    """The score from which on prompts go: `threshold`, or the one that leaves the share `keep` of them.

    For the latter, of N scores the round(keep·N) lowest stay, but none that equals the lowest that goes: where there are
    ties at the threshold, fewer stay. Infinite if all stay. A missing score (NaN) counts as the highest.
    """
    if settings.keep is None:
        return settings.threshold
    count = round(settings.keep * len(scores))
    filled = np.where(np.isnan(scores), np.inf, scores)
    return float(np.partition(filled, count)[count]) if count < len(scores) else float("inf")


def remove_unsafe(
    table: pd.DataFrame, settings: Safety, device: str, log: Callable[[str], None] = print
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a prompt table at the threshold: kept (with its toxicity), removed (prompt_id, prompt, score, kept_id "",
    threshold). Of kind column, the scores are those in the table's column `score`; without one (NaN) a prompt goes.

    Raises UserError if no prompt is left.
    """
    prompts = list(table["prompt"])
    given = settings.kind == "column"
    scores = table["score"].to_numpy(np.float32) if given else toxicity(prompts, settings, device, log)
    threshold = threshold_of(scores, settings)
    bad = ~(scores < threshold)
    if bad.all():
        setting = "threshold" if settings.keep is None else "keep"
        raise UserError(
            f"prompts.safety.{setting}: every prompt reaches {threshold} (the lowest score is "
            f"{np.nanmin(scores, initial=np.inf):.3g}), so none is left; raise it"
        )
    log(f"safety: from {threshold:.6g} on {bad.sum()} of {len(scores)} prompts go, {1 - bad.mean():.2%} stay")
    kept = table.loc[~bad, ["prompt_id", "prompt"]].assign(toxicity=scores[~bad]).reset_index(drop=True)
    removed = table.loc[bad, ["prompt_id", "prompt"]].assign(score=scores[bad].astype(np.float64), kept_id="")
    return kept, removed.assign(threshold=np.full(len(removed), threshold)).reset_index(drop=True)
