"""Removal of unsafe prompts with Detoxify (paper section 4.1)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pnapo.artifacts.pretrained import guarded, read_torch
from pnapo.config.schema import Safety
from pnapo.errors import UserError


def load_detoxify(settings: Safety, device: str):
    """Detoxify with the checkpoint of the settings.

    The checkpoint is first read without running code from it (Detoxify itself would unpickle anything). Raises UserError
    if it is missing, damaged or holds more than plain data, or if a label is not among its classes.
    """
    loaded = read_torch(settings.checkpoint)
    if not isinstance(loaded, dict) or not {"config", "state_dict"} <= loaded.keys():
        raise UserError(f"{settings.checkpoint}: not a Detoxify checkpoint (it needs config and state_dict)")
    try:
        arguments, _ = loaded["config"]["arch"]["args"], loaded["config"]["dataset"]["args"]["classes"]
    except (KeyError, TypeError):
        raise UserError(
            f"{settings.checkpoint}: not a Detoxify checkpoint (its config names no architecture or classes)"
        ) from None
    if settings.config_path:
        if not Path(settings.config_path).is_dir():
            raise UserError(f"{settings.config_path}: no such folder")
        # Detoxify reads its base configuration by name before it looks at the folder given; point it there.
        arguments["model_type"] = settings.config_path
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

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkpoint.ckpt"
        torch.save(loaded, copy)
        return detoxify(checkpoint=str(copy), device=device, huggingface_config_path=settings.config_path)


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


def remove_unsafe(
    table: pd.DataFrame, settings: Safety, device: str, log: Callable[[str], None] = print
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a prompt table at the threshold: kept (with its toxicity), removed (prompt_id, prompt, score, kept_id "").

    Raises UserError if no prompt is left.
    """
    scores = toxicity(list(table["prompt"]), settings, device, log)
    bad = scores >= settings.threshold
    if bad.all():
        raise UserError(
            f"prompts.safety.threshold: every prompt reaches {settings.threshold} (the lowest score is "
            f"{scores.min():.3g}), so none is left; raise it"
        )
    kept = table[~bad].assign(toxicity=scores[~bad]).reset_index(drop=True)
    removed = table.loc[bad, ["prompt_id", "prompt"]].assign(score=scores[bad].astype(np.float64), kept_id="")
    return kept, removed.reset_index(drop=True)
