"""Which prompt belongs to which of a user's image files: a table says it, or the order does."""

from collections.abc import Mapping
from pathlib import Path

from pnapo.artifacts.image_files import ImageFiles
from pnapo.errors import UserError
from pnapo.prompts.sources import columns_of, read_column

IMAGE, PROMPT = "image", "prompt"


def match(images: Mapping[str, Path], prompts: Path | str) -> tuple[ImageFiles, int]:
    """Images (`list_images`) with the prompts of a file, and how many images it left out.

    A table with the columns image and prompt decides which images there are, and their order; an image is named as in
    `images`, or by the end of its path. Any other list has a prompt for each image, in the order of the images. Raises
    UserError that names the image or row which has no match.
    """
    if IMAGE not in columns_of(prompts):
        return _by_order(images, prompts), 0
    named, texts, files = list(map(str, read_column(prompts, IMAGE))), read_column(prompts, PROMPT), []
    ends: dict[str, list[Path]] = {}
    for path in images.values():
        ends.setdefault(path.name, []).append(path)
    for number, (name, text) in enumerate(zip(named, texts, strict=True), start=1):
        alike = [path for path in ends.get(Path(name).name, []) if f"/{path.as_posix()}".endswith(f"/{name}")]
        file = images.get(name) or (alike[0] if len(alike) == 1 else None)
        if file is None:
            raise UserError(f"{prompts}: row {number}: {len(alike) or 'no'} images are called {name}")
        files.append(file)
        _require_text(prompts, number, text)
    return ImageFiles(files, named, texts), len(images) - len(set(files))


def _by_order(images: Mapping[str, Path], prompts: Path | str) -> ImageFiles:
    texts = read_column(prompts, PROMPT)
    while texts and Path(prompts).suffix.lower() == ".txt" and not texts[-1].strip():  # the end of the file
        texts.pop()
    if len(texts) != len(images):
        raise UserError(
            f"{prompts}: {len(texts)} prompts for {len(images)} images; give a prompt for each, in the order of the "
            f"images, or a table with the columns {IMAGE} and {PROMPT}"
        )
    for number, text in enumerate(texts, start=1):
        _require_text(prompts, number, text)
    return ImageFiles(list(images.values()), list(images), texts)


def _require_text(prompts: Path | str, row: int, text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{prompts}: row {row}: no prompt")
