"""Image files of a user's own, of any size, in place of the images that a manifest lists."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from pnapo.artifacts.files import prompt_id
from pnapo.artifacts.images import BROKEN, decode_upright, in_threads, why_broken
from pnapo.errors import UserError
from pnapo.refusals import raise_refused

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

Made = TypeVar("Made")


def list_images(given: Iterable[Path | str]) -> dict[str, Path]:
    """Image files by name: those given, and those in given folders, whose names are paths below the folder.

    Files keep their order, those of a folder are sorted by name, numbers in it by their value (2 before 10). Raises UserError
    if there is no such file, a folder holds none, or two have one name.
    """
    found: dict[str, Path] = {}
    for path in map(Path, given):
        if path.is_dir():
            inside = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
            if not inside:
                raise UserError(f"{path}: holds no images ({', '.join(SUFFIXES)})")
            named = {file.relative_to(path).as_posix(): file for file in inside}
            named = {name: named[name] for name in sorted(named, key=_natural)}
        elif path.is_file():
            named = {path.name: path}
        else:
            raise UserError(f"{path}: no such file or folder")
        twice = found.keys() & named.keys()
        if twice:
            raise UserError(f"two images are called {min(twice)}; give them other names, or their folder alone")
        found |= named
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


class ImageFiles:
    """Image files with their prompts, to be scored as `Images` are: `table` has prompt_id, sample, image (the name), prompt.

    Images of one prompt are its samples 0, 1, … in their order.
    """

    def __init__(self, files: Sequence[Path], names: Sequence[str], prompts: Sequence[str]):
        self._files = list(files)
        table = pd.DataFrame({"prompt_id": [prompt_id(text) for text in prompts]})
        table["sample"] = table.groupby("prompt_id").cumcount()
        self.table = table.assign(image=list(names), prompt=list(prompts))

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The pixels, uint8 [H, W, 3], of every image. Raises UserError that names a file which is no image."""
        return self.map(lambda pixels: pixels)

    def map(self, work: Callable[[np.ndarray], Made]) -> Iterator[Made]:
        """`work(pixels)` of every image, in order, done by threads somewhat before it is asked for."""
        return in_threads(lambda file: work(_pixels(file)), self._files)


def _pixels(file: Path) -> np.ndarray:
    try:
        return np.array(decode_upright(file.read_bytes()))
    except BROKEN as error:
        raise_refused(error, file)
        raise UserError(f"{file}: not a readable image ({why_broken(error)})") from None
