"""Image grids: the same prompts and noises for every run, side by side."""

import base64
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pnapo.artifacts.images import BROKEN
from pnapo.errors import UserError
from pnapo.text import printable

LONGEST = 320  # side of the largest picture put into the page
PIXEL_ART = 128  # pictures up to this side are shown with hard pixels
_INK, _MUTED, _PAPER = (31, 36, 41), (102, 110, 118), (255, 255, 255)


def evenly(total: int, count: int) -> list[int]:
    """`count` positions spread evenly over 0..total−1 (all, if there are fewer): a choice nobody has picked by eye."""
    count = min(total, count)
    return [int((i + 0.5) * total / count) for i in range(count)]


def open_picture(png: bytes) -> Image.Image:
    """The picture of PNG bytes, RGB."""
    try:
        return Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
    except BROKEN:
        raise UserError("a stored image is not a readable PNG; make the images again") from None


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page: its data URI, and whether it is to be shown with hard pixels."""

    uri: str
    pixel_art: bool


def embed(png: bytes, longest: int = LONGEST) -> Embedded:
    """Small pictures as they are; larger ones reduced to `longest` a side, as JPEG."""
    picture = open_picture(png)
    buffer = io.BytesIO()
    if max(picture.size) <= PIXEL_ART:
        picture.save(buffer, "PNG", optimize=True)
        return Embedded(_uri("png", buffer), True)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=88)
    return Embedded(_uri("jpeg", buffer), False)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, as matplotlib ships it (found without importing matplotlib)."""
    folder = Path(importlib.util.find_spec("matplotlib").origin).parent
    return ImageFont.truetype(folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def wrap(text: str, width: float, lines: int, size: int) -> list[str]:
    """Text broken into at most `lines` lines of `width` pixels; long words are cut, a cut text ends with …"""
    font = _font(size)
    words = printable(text)[:2000].split(" ")
    out, line = [], ""
    while words:
        word = words.pop(0)
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        elif line:
            out.append(line)
            line, words = "", [word, *words]
        else:
            fits = next(n for n in range(len(word), 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            out.append(word[:fits])
            words = [word[fits:], *words] if word[fits:] else words
    out += [line] if line else []
    if len(out) > lines:
        last = out[lines - 1]
        while last and font.getlength(last + "…") > width:
            last = last[:-1]
        out = [*out[: lines - 1], last.rstrip() + "…"]
    return out


def grid(
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Image.Image]]],
    cell: int = 96,
    caption_width: int = 190,
    across: int = 1,
) -> Image.Image:
    """A picture of all rows: a row's caption (its prompt) on the left, then one image per column.

    Small images grow by whole factors with hard pixels up to about `cell`; larger ones are reduced to it. A long
    list can stand in several blocks `across` the picture.
    """
    size, gap, margin, head = 12, 6, 12, 30
    line = size + 5
    deep = -(-len(rows) // across)
    block = caption_width + len(columns) * (cell + gap) - gap
    page = Image.new(
        "RGB", (margin + across * (block + 2 * margin) - margin, 2 * margin + head + deep * (cell + gap) - gap), _PAPER
    )
    draw = ImageDraw.Draw(page)
    for number, (caption, images) in enumerate(rows):
        left, y = margin + number // deep * (block + 2 * margin), margin + head + number % deep * (cell + gap)
        lines = wrap(caption, caption_width - 2 * gap, cell // line, size)
        top = y + (cell - line * len(lines)) / 2
        for i, text in enumerate(lines):
            draw.text((left, top + i * line + line / 2), text, _MUTED, _font(size), anchor="lm")
        for c, (name, image) in enumerate(zip(columns, images)):
            x = left + caption_width + c * (cell + gap)
            page.paste(_fit(image, cell), (x, y))
            if number % deep == 0:
                draw.text((x + cell / 2, margin + head - 9), name, _INK, _font(size + 1), anchor="ms")
    return page


def _fit(image: Image.Image, cell: int) -> Image.Image:
    """The image in a square of `cell` pixels."""
    longest = max(image.size)
    small = longest <= cell
    factor = cell // longest if small else cell / longest
    kind = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    shown = image.resize([max(1, round(s * factor)) for s in image.size], kind)
    square = Image.new("RGB", (cell, cell), _PAPER)
    square.paste(shown, ((cell - shown.width) // 2, (cell - shown.height) // 2))
    return square
