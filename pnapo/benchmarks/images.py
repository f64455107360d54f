"""Images of one run on one test set: a parquet file of PNGs under a manifest."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pnapo.artifacts import read_table, require_intact, write_manifest, write_table

KIND = "images"
FILE = "images.parquet"


def encode_png(image: np.ndarray) -> bytes:
    """A uint8 image [H, W, 3] as PNG; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def decode_png(data: bytes) -> np.ndarray:
    """The pixels, uint8 [H, W, 3], of a PNG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def write_images(
    manifest: Path | str, prompt_ids: list[str], samples: list[int], images: list[np.ndarray], settings: dict
) -> None:
    """Write images with their prompt ids and sample numbers, then the manifest."""
    folder = Path(manifest).parent
    table = pd.DataFrame({"prompt_id": prompt_ids, "sample": samples, "image": [encode_png(i) for i in images]})
    write_table(folder / FILE, table)
    write_manifest(manifest, KIND, settings, [FILE], count=len(table))


def read_images(manifest: Path | str) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """The table (prompt_id, sample) and the images. Raises UserError that names a missing or damaged file."""
    require_intact(manifest, KIND)
    table = read_table(Path(manifest).parent / FILE, ["prompt_id", "sample", "image"])
    return table[["prompt_id", "sample"]], [decode_png(data) for data in table["image"]]
