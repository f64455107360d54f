"""One training from files to a checkpoint folder: what the workflow's job and the command `pnapo train` both run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pnapo.artifacts import require_intact
from pnapo.backbones import load_backbone
from pnapo.config.schema import Model, Run, Watch
from pnapo.errors import UserError
from pnapo.objectives.paths import PATHS
from pnapo.pairs.embeddings import read_embeddings
from pnapo.pairs.preferences import load_pairs
from pnapo.training.loop import Log, train
from pnapo.training.settings import resolve_settings
from pnapo.training.tracker import Tracker, require


def train_on_files(
    *,
    pairs: Path,
    labels: Path,
    embeddings: Path,
    model: Model,
    run: Run,
    seed: int,
    draw_seed: int,
    out: Path,
    reference: Sequence[Path] = (),
    stop: int | None = None,
    device: str = "cpu",
    watch: Watch | None = None,
    tracker: Tracker | None = None,
    keep: bool = False,
    log: Log = print,
) -> None:
    """Train a run on a pair set (its manifest), its labels and its prompts' embeddings (their manifest); see `train`.

    With `keep`, a checkpoint that is there already is not made again. Raises UserError if a file is damaged or does not fit
    the others, if the tracker is not installed, or if a checkpoint of other settings would have to be kept.
    """
    if tracker:
        require(tracker.kind)
    shuffled = PATHS[run.path].noise == "shuffled"
    chosen = load_pairs(pairs, labels, min_gap=run.min_gap, first=run.pairs, shuffle=draw_seed if shuffled else None)
    backbone = load_backbone(model, {"transformer"}, device)
    what = {"backbone": backbone, "pairs": chosen, "run": run, "seed": seed, "draw_seed": draw_seed, "stop": stop}
    if keep and (out / "manifest.json").exists() and _is_made(out, resolve_settings(**what)):
        log(f"{out.name}: is trained already")
        return
    more = {"reference": reference, "watch": watch, "tracker": tracker, "log": log}
    train(**what, embeddings=read_embeddings(embeddings), out=out, **more)


def _is_made(out: Path, settings: dict[str, Any]) -> bool:
    """Whether the checkpoint that is there is of these settings, and whole."""
    if require_intact(out / "manifest.json", "checkpoint")["settings"] != settings:
        raise UserError(f"{out}: holds a checkpoint of other settings or pairs; name another folder, or remove it")
    return True
