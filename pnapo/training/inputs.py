"""What a training on a user's own files needs, beside the checkpoint it is for, until that is made.

An exported pair set becomes a pair set, and the prompts are embedded, once: a training that is started again finds them.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pnapo.artifacts import read_json, require_intact, write_json
from pnapo.config.schema import Model, Run
from pnapo.errors import UserError
from pnapo.objectives.paths import PATHS
from pnapo.pairs.embeddings import embed
from pnapo.pairs.hub_read import data_files, import_pairs
from pnapo.pairs.layout import labels_of, manifest_of, prompts_of
from pnapo.pairs.store import KIND, read_pairs_manifest

_COMPUTED = {
    "inverted": "inversion",
    "truncated": "truncation",
}  # noises that are not drawn, and the setting that says so


class Inputs(NamedTuple):
    """A pair set's manifest, its label table, and the manifest of its prompts' embeddings."""

    pairs: Path
    labels: Path
    embeddings: Path


def prepare(
    pairs: Path,
    labels: str,
    prompts: Path | None,
    run: Run,
    model: Model,
    out: Path,
    device: str = "cpu",
    log: Callable[[str], None] = print,
) -> Inputs:
    """Find or make what a run with the checkpoint folder `out` needs.

    `pairs` is a pair set or the folder of an exported one, `labels` a table or the name of a reward, `prompts` a list, if it
    does not lie with the pairs. Raises UserError if one of them is missing, or if the pairs lack the noise of the run's path.
    """
    work = _folder(out)
    manifest = _pair_set(pairs, work, log)
    _require_noise(run, manifest)
    found = labels_of(manifest, labels)
    return Inputs(manifest, found, embed(model, prompts_of(manifest, prompts), work, device))


def finish(out: Path) -> None:
    """Remove what `prepare` made."""
    shutil.rmtree(_folder(out), ignore_errors=True)


def _folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.inputs")


def _pair_set(path: Path, work: Path, log: Callable[[str], None]) -> Path:
    files = data_files(path)
    if not files:
        return manifest_of(path)
    made, source = work / "pairs" / "manifest.json", work / "source.json"
    stamps = [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    try:
        require_intact(made, KIND)
        if read_json(source) == stamps:
            return made
    except UserError:
        pass
    shutil.rmtree(work / "pairs", ignore_errors=True)
    import_pairs(path, work / "pairs", log)
    write_json(source, stamps)
    return made


def _require_noise(run: Run, manifest: Path) -> None:
    path, settings = PATHS[run.path], read_pairs_manifest(manifest)["settings"]
    found = next((name for name, setting in _COMPUTED.items() if setting in settings), "stored")
    wanted = path.noise if path.noise in _COMPUTED else "stored"
    if wanted != found and (wanted in _COMPUTED or not path.fresh):
        raise UserError(f"{manifest}: holds {found} noises, but path {run.path} needs {wanted} ones; use those pairs")
