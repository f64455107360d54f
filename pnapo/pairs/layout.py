"""A pair set's folder as a user names it: the manifest, and what lies beside it.

    PAIRS/manifest.json  samples/  images/SHARD/manifest.json  labels/REWARD.parquet  prompts.parquet

The workflow keeps the prompts elsewhere, in results/prompts/.
"""

from pathlib import Path

import pandas as pd

from pnapo.artifacts import prompt_of
from pnapo.errors import UserError
from pnapo.pairs.store import read_pairs_manifest
from pnapo.prompts.sources import load_prompts

PROMPTS = "prompts.parquet"
SAMPLES, IMAGES, LABELS = "samples", "images", "labels"


def shard_name(number: int, count: int) -> str:
    """The name of shard `number` of `count`, without suffix."""
    return f"shard-{number:05d}-of-{count:05d}"


def images_name(number: int, count: int) -> str:
    """The folder of the images of shard `number` of `count`."""
    return f"{IMAGES}/{number:05d}-of-{count:05d}"


def manifest_of(path: Path | str) -> Path:
    """The manifest of a pair set, given by itself or by its folder. Raises UserError if there is none."""
    path = Path(path)
    path = path / "manifest.json" if path.is_dir() else path
    read_pairs_manifest(path)
    return path


def images_beside(manifest: Path) -> list[Path]:
    """The manifests of a pair set's images. Raises UserError if there are none."""
    found = sorted((manifest.parent / IMAGES).glob("*/manifest.json"))
    if not found:
        raise UserError(f"{manifest.parent / IMAGES}: holds no images; `snakemake labels` decodes a pair set's")
    return found


def labels_beside(manifest: Path) -> dict[str, Path]:
    """The label tables of a pair set by the name of the reward or preference."""
    return {file.stem: file for file in sorted((manifest.parent / LABELS).glob("*.parquet"))}


def labels_of(manifest: Path, given: str) -> Path:
    """A label table, given as a file or by the name of a reward. Raises UserError if there is none."""
    known = labels_beside(manifest)
    if given in known or Path(given).is_file():
        return known.get(given) or Path(given)
    names = ", ".join(known) or "none"
    raise UserError(f"labels {given}: no such file, and no such reward in {manifest.parent / LABELS} ({names})")


def prompts_of(manifest: Path, given: Path | str | None = None) -> pd.DataFrame:
    """The prompts of a pair set: columns prompt_id and prompt, each once, in its order.

    From the list `given`, else from where this program keeps them. Raises UserError if there is none, or it lacks one.
    """
    places = [Path(given)] if given else _places(manifest)
    path = next((place for place in places if given or place.is_file()), None)
    if path is None:
        raise UserError(f"{manifest.parent}: holds no {PROMPTS}; name the list of its prompts with --prompts")
    found = load_prompts(path)
    known = dict(zip(found["prompt_id"], found["prompt"]))
    wanted = list(dict.fromkeys(map(prompt_of, read_pairs_manifest(manifest)["prompt_ids"])))
    missing = [name for name in wanted if name not in known]
    if missing:
        raise UserError(
            f"{path}: lacks {len(missing)} of the {len(wanted)} prompts of {manifest}, such as {missing[0]}"
        )
    return pd.DataFrame({"prompt_id": wanted, "prompt": [known[name] for name in wanted]})


def _places(manifest: Path) -> list[Path]:
    folder = manifest.parent
    places = [folder / PROMPTS, folder.parent / PROMPTS]  # the second: of inverted and truncated noises
    for above in (folder, *folder.parents):
        if above.name == "pairs":  # as the workflow has it
            inside = folder.relative_to(above).parts  # BACKBONE, then datasets/NAME if it is one's
            name = "/".join(inside[1:3]) if "datasets" in inside else "selected"
            places.append(above.parent / "prompts" / f"{name}.parquet")
            break
    return places
