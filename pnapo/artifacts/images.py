"""Images on disk: a parquet file of PNGs under a manifest.

They are encoded and decoded by threads while the model works on others, and few are in memory at a time.
"""

import hashlib
import io
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from pnapo.artifacts.files import atomic_path
from pnapo.artifacts.manifest import read_manifest, require_footer, require_intact, verify_manifest, write_manifest
from pnapo.artifacts.parts import parts_of
from pnapo.artifacts.tables import read_table
from pnapo.errors import UserError
from pnapo.refusals import raise_refused

KIND = "images"
FILE = "images.parquet"
AHEAD = 64  # images decoded before they are asked for
SCHEMA = pa.schema([("prompt_id", pa.string()), ("sample", pa.int64()), ("image", pa.binary())])

FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
)  # Pillow opens others with programs: PostScript, with Ghostscript
# What Pillow raises where bytes are no whole image: SyntaxError of a PNG, EOFError of a GIF, struct.error of a TIFF.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

Given = TypeVar("Given")
Made = TypeVar("Made")


def why_broken(error: Exception) -> str:
    """The first line of one of BROKEN; its name if it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def encode_png(image: np.ndarray) -> bytes:
    """A uint8 image [H, W, 3] as PNG; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)  # half the time of 6, a tenth more bytes
    return buffer.getvalue()


def decode_png(data: bytes) -> np.ndarray:
    """The pixels, uint8 [H, W, 3], of a PNG."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.array(image.convert("RGB"))


def decode_upright(data: bytes) -> Image.Image:
    """An encoded image (of FORMATS) as RGB, turned as its EXIF data say. Raises OSError if it is none."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def in_threads(work: Callable[[Given], Made], values: Iterable[Given]) -> Iterator[Made]:
    """`work(value)` of every value, in order, done by threads somewhat before it is asked for."""
    waiting: deque = deque()
    with _threads() as pool:
        for value in values:
            waiting.append(pool.submit(work, value))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _threads() -> ThreadPoolExecutor:
    """As many threads as the job may use (Snakemake sets OMP_NUM_THREADS to them), else one."""
    return ThreadPoolExecutor(int(os.environ.get("OMP_NUM_THREADS", "1")))


@contextmanager
def png_writer(manifest: Path | str, settings: dict) -> Iterator[Callable[[list[str], list[int], list[bytes]], None]]:
    """Write the PNGs beside `manifest` that the block adds, then the manifest; nothing if the block fails."""
    file, count, content = Path(manifest).with_name(FILE), 0, hashlib.sha256()
    options = {"compression": "none", "use_dictionary": ["prompt_id"], "write_statistics": ["prompt_id", "sample"]}

    def add(prompt_ids: list[str], samples: list[int], pngs: list[bytes]) -> None:
        nonlocal count
        count += len(pngs)
        for png in pngs:
            content.update(png)
        writer.write_table(pa.table([prompt_ids, samples, pngs], schema=SCHEMA))

    with (
        atomic_path(file) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, write_page_checksum=True, **options) as writer,
    ):
        yield add
        # So that the footer, which is all that who reads a few images looks at, is of these images alone.
        writer.add_key_value_metadata({"content": content.hexdigest()})
    write_manifest(manifest, KIND, settings, [FILE], count=count)


def make_images(
    manifest: Path | str,
    settings: dict,
    prompt_ids: Sequence[str],
    samples: Sequence[int],
    make: Callable[[range], np.ndarray],
    *,
    batch: int,
    made_from: Any,
    source: str,
    told: str = "images",
    log: Callable[[str], None] = print,
) -> int:
    """Write the images of all rows beside `manifest`, then the manifest; returns how many were made now.

    `make(rows)` makes some whole batches, uint8 [n, H, W, 3]; they are encoded while the next are made. Finished parts are kept
    through a kill (`pnapo.artifacts.parts`, also for `made_from` and `source`).
    """
    count, waiting = len(prompt_ids), deque()
    with parts_of(manifest, made_from, source, log) as parts, _threads() as pool:

        def keep_first() -> None:
            rows, encoded = waiting.popleft()
            parts.keep(rows, _packed([png.result() for png in encoded]))

        for number, rows in enumerate(parts.ranges(count, batch)):
            if parts.read(rows) is None:
                waiting.append((rows, [pool.submit(encode_png, image) for image in make(rows)]))
            behind = 1 if rows.stop < count else 0
            while len(waiting) > behind:
                keep_first()
            parts.tell(number, rows, count, told)
        with png_writer(manifest, settings) as put:
            for rows in parts.ranges(count, batch):
                pngs = _unpacked(parts.take(rows, lambda rows: _packed(map(encode_png, make(rows)))))
                for first in range(0, len(rows), batch):
                    which = slice(rows.start + first, min(rows.start + first + batch, rows.stop))
                    put(prompt_ids[which], samples[which], pngs[first : first + batch])
        return parts.made


def _packed(pngs: Iterable[bytes]) -> dict:
    """PNGs as the tensors of a part: their bytes one behind the other, and where each ends."""
    import torch

    pngs = list(pngs)
    whole = torch.frombuffer(bytearray(b"".join(pngs)), dtype=torch.uint8)
    return {"bytes": whole, "ends": torch.tensor([len(png) for png in pngs]).cumsum(0)}


def _unpacked(part: Mapping) -> list[bytes]:
    whole, ends = part["bytes"].numpy().tobytes(), part["ends"].tolist()
    return [whole[start:end] for start, end in zip([0, *ends], ends)]


class Images:
    """The images of one manifest or of several, in order: `table` (prompt_id, sample) and, when asked for, the pixels.

    A file is checked against its hash when its first image is asked for, so that work begins before all of many files have
    been read. Raises UserError that names a missing or damaged file, then or now.
    """

    def __init__(self, *manifests: Path | str):
        self.settings = [read_manifest(manifest, KIND)["settings"] for manifest in manifests]
        self._manifests = manifests
        self.table = pd.concat([_keys(manifest) for manifest in manifests], ignore_index=True)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The pixels, uint8 [H, W, 3], of every image."""
        return self.map(lambda pixels: pixels)

    def map(self, work: Callable[[np.ndarray], Made]) -> Iterator[Made]:
        """`work(pixels)` of every image, in order, done by threads somewhat before it is asked for."""

        def one(found: tuple[int, bytes]) -> Made:
            try:
                pixels = decode_png(found[1])
            except (*BROKEN, TypeError) as error:
                place = self._place(found[0])
                raise UserError(f"{place}: not a readable image ({why_broken(error)}); make the images again") from None
            return work(pixels)

        return in_threads(one, enumerate(self.encoded()))

    def _place(self, number: int) -> str:
        """File and row of an image."""
        for manifest in self._manifests:
            file = Path(manifest).with_name(FILE)
            count = pq.read_metadata(file).num_rows
            if number < count:
                break
            number -= count
        return f"{file}, row {number}"

    def encoded(self) -> Iterator[bytes]:
        """Every image as the PNG that it is stored as."""
        for manifest in self._manifests:
            require_intact(manifest, KIND)
            parquet = pq.ParquetFile(Path(manifest).with_name(FILE))
            for group in range(parquet.num_row_groups):  # `iter_batches` would keep what it has read of the whole file
                yield from parquet.read_row_group(group, columns=["image"]).column(0).to_pylist()


def _keys(manifest: Path | str) -> pd.DataFrame:
    """prompt_id and sample of each image, by page checksums."""
    require_footer(manifest, KIND, FILE)
    try:
        return read_table(Path(manifest).with_name(FILE), ["prompt_id", "sample"], listed=True)
    except UserError:
        require_intact(manifest, KIND)  # which says what to do
        raise


def pngs_of(manifest: Path | str, prompt_ids: Sequence[str], sample: int = 0) -> dict[str, bytes]:
    """One sample of each of a few prompts as the PNG that it is stored as: of the file, only the row groups that hold them.

    Page checksums stand in for the hash of the whole file. Raises UserError if the manifest or the images are missing or
    damaged, or lack one of the prompts.
    """
    require_footer(manifest, KIND, FILE)
    path, wanted, found = Path(manifest).with_name(FILE), set(prompt_ids), {}
    try:
        # Without a buffer size, each look into the file would read a whole row group.
        parquet = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=1 << 16)
        for group in range(parquet.num_row_groups):
            keys = parquet.read_row_group(group, columns=["prompt_id", "sample"], use_threads=False).to_pydict()
            rows = {
                prompt_id: row
                for row, (prompt_id, number) in enumerate(zip(keys["prompt_id"], keys["sample"]))
                if number == sample and prompt_id in wanted
            }
            if rows:
                images = parquet.read_row_group(group, columns=["image"], use_threads=False).column(0)
                found |= {prompt_id: images[row].as_py() for prompt_id, row in rows.items()}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; delete {manifest} and run again") from None
    except (pa.ArrowException, OSError, IndexError) as error:  # IndexError: fewer rows than there were keys
        raise_refused(error, path)
        raise UserError(f"{path}: damaged ({str(error).splitlines()[0]}); delete {manifest} and run again") from None
    missing = [prompt_id for prompt_id in prompt_ids if prompt_id not in found]
    if missing:
        raise UserError(f"{path}: no image of prompt {missing[0]}; delete {manifest} and run again")
    return found


def verify_images(manifest: Path | str) -> list[str]:
    """What is wrong with the images of a manifest: hashes, their number, and those that cannot be read."""
    problems, file = verify_manifest(manifest, KIND), Path(manifest).with_name(FILE)
    if problems:
        return problems
    images, count = Images(manifest), read_manifest(manifest)["count"]
    if len(images) != count:
        problems.append(f"{file}: {len(images)} images instead of {count}")
    for number, readable in enumerate(in_threads(_readable, images.encoded())):
        if not readable:
            problems.append(f"{file}: the image of row {number} cannot be read")
    return problems


def _readable(png: bytes) -> bool:
    try:
        decode_png(png)
    except BROKEN:
        return False
    return True
