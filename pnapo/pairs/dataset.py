"""Image pairs from elsewhere (Pick-a-Pic, HPD, one's own) as a pair set: latents alone, as no noise made these images.

Parquet files with a prompt and two images in each row, and which of them is preferred. A prompt may have many rows: the
pair set's prompt ids are then those of pairs, `prompt_id`, `prompt_id-1`, … (`artifacts.prompt_of` gives the prompt's).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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
from pnapo.artifacts.parts import parts_of
from pnapo.backbones import Backbone
from pnapo.config.schema import Dataset, Pairs
from pnapo.errors import UserError
from pnapo.pairs.generate import digest_of
from pnapo.pairs.shards import Shard, asked_of, part_of, shard_writer, slice_of, whole_prompts

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

    x0 = (mode of the VAE's posterior − shift)·scale, as the latents of all pair sets are. A killed job goes on where it was.
    Raises UserError that names file and row of an image that cannot be read.
    """
    ids = list(pairs["prompt_id"])
    rows = slice_of(len(ids), shard, settings.shards)
    chosen, batch = pairs.iloc[rows.start : rows.stop], settings.batch
    images, read = iter(()), 0

    def encode(places: list[tuple[str, Any]]) -> torch.Tensor:
        pictures = [_picture(*place, backbone.resolution) for place in places]
        filled = np.stack(pictures + pictures[:1] * (batch - len(pictures)))  # so that none hangs on its neighbours
        pixels = torch.from_numpy(filled).permute(0, 3, 1, 2).float() / 127.5 - 1
        return backbone.encode_images(pixels)[: len(pictures)].float().cpu()

    def make(part: range) -> dict[str, torch.Tensor]:
        nonlocal images, read
        if part.start != read or not read:  # the parts before are kept ones: their row groups are passed over
            images = islice(_images(chosen[part.start // 2 :], dataset.images), part.start % 2, None)
        read = part.stop
        batches = (min(batch, part.stop - start) for start in range(part.start, part.stop, batch))
        return {"latent": torch.cat([encode(list(islice(images, size))) for size in batches])}

    made_with = {
        "samples": 2,
        "batch": batch,
        "family": backbone.family,
        "model": backbone.path,
        "vae": digest_of(backbone.parts["vae"].state_dict()),
        "latent_shape": list(backbone.latent_shape),
        **asked_of(dataset),
    }
    owned, shape = ids[rows.start : rows.stop], (2, *backbone.latent_shape)
    made_from = [made_with, backbone.resolution, owned, chosen["row"].tolist(), _stamps(chosen["file"])]
    about, told = {"noise": False, "part": part_of(ids, rows)}, f"shard {shard + 1}/{settings.shards}: images"
    with parts_of(out, made_from, __file__, log) as parts, shard_writer(out, owned, shape, made_with, **about) as put:
        for some, found in whole_prompts(parts.each(2 * len(owned), batch, make, told), 2):
            put(some.start, Shard.without_noise(owned[some.start : some.stop], found["latent"]))


def _stamps(files: pd.Series) -> list[list]:
    """Which files these are, by what tells cheaply of a change: they may be large, and a shard needs little of them."""
    found = [(file, Path(file).stat()) for file in files.unique()]
    return [[file, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for file, stat in found]


def _picture(place: str, value: Any, resolution: int) -> np.ndarray:
    try:
        return picture(value, resolution)
    except BROKEN as error:
        raise UserError(f"{place}: not a readable image ({why_broken(error)})") from None


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
