"""Image pairs from elsewhere (Pick-a-Pic, HPD, one's own) as a pair set: latents alone, as no noise made these images.

Parquet files with a prompt and two images in each row, and which of them is preferred. A prompt may have many rows: the
pair set's prompt ids are then those of pairs, `prompt_id`, `prompt_id-1`, … (`artifacts.prompt_of` gives the prompt's).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps

from pnapo.artifacts import prompt_id, prompt_of, read_table
from pnapo.artifacts.images import BROKEN, decode_upright, why_broken
from pnapo.backbones import Backbone
from pnapo.config.schema import Dataset, Pairs
from pnapo.errors import UserError
from pnapo.pairs.generate import digest_of
from pnapo.pairs.shards import Shard, asked_of, part_of, slice_of, write_shard

AT_ONCE = 16  # rows whose images are read at once


def read_pairs(files: Sequence[Path | str], dataset: Dataset) -> pd.DataFrame:
    """The first `dataset.count` pairs with a prompt and a preference: prompt_id, prompt, file, row, score_0 and score_1.

    Images are not read. Raises UserError if a file is damaged or lacks a column, or if there are fewer pairs.
    """
    found, seen = [], Counter()
    for file in map(str, files):
        table = read_table(file, [dataset.prompt, *(dataset.scores or [])])
        missing = [column for column in dataset.images if column not in pq.read_schema(file).names]
        if missing:
            raise UserError(f"{file}: no column {missing[0]!r}; name the two columns of images in `images`")
        scores = np.tile([1.0, 0.0], (len(table), 1))
        if dataset.scores:
            scores = np.stack([pd.to_numeric(table[c], errors="coerce") for c in dataset.scores], 1).astype(np.float64)
        decided = np.isfinite(scores).all(1) & (scores[:, 0] != scores[:, 1])
        for row in np.flatnonzero(decided):
            text = table[dataset.prompt][row]
            if not isinstance(text, str) or not text.strip():
                continue
            own = prompt_id(text)
            name = f"{own}-{seen[own]}" if seen[own] else own
            seen[own] += 1
            found.append((name, text, file, int(row), *scores[row]))
            if len(found) == dataset.count:
                return pd.DataFrame(found, columns=["prompt_id", "prompt", "file", "row", "score_0", "score_1"])
    raise UserError(
        f"{dataset.path}: holds {len(found)} pairs with a prompt and a preference, but `count` asks for {dataset.count}"
    )


def prompts_of(pairs: pd.DataFrame) -> pd.DataFrame:
    """The distinct prompts of `read_pairs`: columns prompt_id and prompt."""
    table = pairs[["prompt_id", "prompt"]].assign(prompt_id=pairs["prompt_id"].map(prompt_of))
    return table.drop_duplicates("prompt_id", ignore_index=True)


def picture(value: Any, resolution: int) -> np.ndarray:
    """The pixels, uint8 [R, R, 3], of an encoded image: scaled to the square (bicubic), what is over cut off evenly.

    `value` is the file's bytes, or {"bytes": …} as the datasets library writes it. Raises OSError if it is no image.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise OSError("no bytes")
    upright = decode_upright(data)
    if upright.size != (resolution, resolution):
        upright = ImageOps.fit(upright, (resolution, resolution), Image.Resampling.BICUBIC)
    return np.array(upright)


def encode_shard(
    backbone: Backbone,
    pairs: pd.DataFrame,
    dataset: Dataset,
    settings: Pairs,
    shard: int,
    out: Path,
    log: Callable[[str], None] = print,
) -> None:
    """Encode shard number `shard` of `settings.shards` of the pairs (`read_pairs`) into latents; write the manifest `out`.

    x0 = (mode of the VAE's posterior − shift)·scale, as the latents of all pair sets are. Raises UserError that names file
    and row of an image that cannot be read.
    """
    ids = list(pairs["prompt_id"])
    rows = slice_of(len(ids), shard, settings.shards)
    chosen, batch = pairs.iloc[rows.start : rows.stop], settings.batch
    latents, waiting, count = [], [], 2 * len(rows)

    def encode() -> None:
        filled = np.stack(waiting + waiting[:1] * (batch - len(waiting)))  # so that none hangs on its neighbours
        pixels = torch.from_numpy(filled).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents.append(backbone.encode_images(pixels)[: len(waiting)].float().cpu())
        waiting.clear()

    for number, (place, value) in enumerate(_images(chosen, dataset.images)):
        try:
            waiting.append(picture(value, backbone.resolution))
        except BROKEN as error:
            raise UserError(f"{place}: not a readable image ({why_broken(error)})") from None
        if len(waiting) == batch or number + 1 == count:
            encode()
            log(f"shard {shard + 1}/{settings.shards}: {number + 1}/{count} images")
    latent = torch.cat(latents).view(len(rows), 2, *backbone.latent_shape)
    made_with = {
        "samples": 2,
        "batch": batch,
        "family": backbone.family,
        "model": backbone.path,
        "vae": digest_of(backbone.parts["vae"].state_dict()),
        "latent_shape": list(backbone.latent_shape),
        **asked_of(dataset),
    }
    owned = ids[rows.start : rows.stop]
    write_shard(out, Shard.without_noise(owned, latent), made_with, part=part_of(ids, rows))


def _images(pairs: pd.DataFrame, columns: list[str]) -> Iterator[tuple[str, Any]]:
    """Each pair's two encoded images in order, with the place that an error names."""
    for file, rows in pairs.groupby("file", sort=False)["row"]:
        wanted, first = set(rows), 0
        try:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(group).num_rows
                if wanted.isdisjoint(range(first, first + size)):
                    first += size
                    continue
                for part in parquet.iter_batches(AT_ONCE, row_groups=[group], columns=columns):
                    for row in range(len(part)):
                        if first + row in wanted:
                            for column in columns:
                                yield f"{file}, row {first + row}, {column}", part[column][row].as_py()
                    first += len(part)
        except pa.ArrowException as error:
            raise UserError(f"{file}: not a readable parquet file ({str(error).splitlines()[0]})") from None
