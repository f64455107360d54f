"""Tensors on disk: safetensors, and torch's format where a library insists on it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from pnapo.artifacts.files import atomic_path
from pnapo.artifacts.seal import KEY, blank, sealed_path
from pnapo.errors import UserError
from pnapo.refusals import about, raise_refused

if TYPE_CHECKING:
    import torch

# Types by their names here and in a file, in the order in which safetensors lays them out: large ones first.
_KINDS = {
    **{"uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64"},
    **{"float32": "F32", "uint32": "U32", "int32": "I32"},
    **{"bfloat16": "BF16", "float16": "F16", "uint16": "U16", "int16": "I16"},
    **{"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "int8": "I8", "uint8": "U8", "bool": "BOOL"},
}


def write_tensors(
    path: Path | str,
    tensors: Mapping[str, "torch.Tensor"],
    metadata: Mapping[str, str] | None = None,
    *,
    seal: bool = False,
) -> None:
    """Write tensors and text metadata atomically; the same content gives the same bytes.

    `seal` is for a file that no manifest lists; whoever reads it calls `require_seal` first.
    """
    layout = {name: (value.dtype, value.shape) for name, value in tensors.items()}
    with tensor_writer(path, layout, metadata, seal=seal) as put:
        for name, value in tensors.items():
            put(name, 0, value)


@contextmanager
def tensor_writer(
    path: Path | str,
    layout: Mapping[str, tuple["torch.dtype", Sequence[int]]],
    metadata: Mapping[str, str] | None = None,
    *,
    seal: bool = False,
) -> Iterator[Callable[[str, int, "torch.Tensor"], None]]:
    """Write tensors of these types and shapes part by part, so that a file may be larger than the memory; atomically.

    The bytes are those of safetensors, but for the order of the metadata, which it changes from call to call. It is not used,
    because it does not tell of what a network disk could not keep.

    `put(name, row, part)` writes rows from `row` on; `seal` is that of `write_tensors`. Raises RuntimeError if a row was not
    put, or more than once.
    """
    import torch

    order = list(_KINDS)
    kinds = {name: str(dtype).removeprefix("torch.") for name, (dtype, _) in layout.items()}
    metadata = {**(metadata or {}), **({KEY: blank(path)} if seal else {})}
    header: dict = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    end, missing = 0, {name: _rows(shape) for name, (_, shape) in layout.items()}
    for name in sorted(layout, key=lambda name: (order.index(kinds[name]), name)):
        dtype, shape = layout[name]
        start, end = end, end + prod(shape) * dtype.itemsize
        header[name] = {"dtype": _KINDS[kinds[name]], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with (sealed_path if seal else atomic_path)(path) as temporary, open(temporary, "wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)

        def put(name: str, row: int, part: "torch.Tensor") -> None:
            dtype, shape = layout[name]
            if part.dtype != dtype or part.shape[1:] != tuple(shape[1:]):
                raise RuntimeError(f"{path}: {name} takes {dtype} {list(shape)}, not {part.dtype} {list(part.shape)}")
            missing[name] -= _rows(part.shape)
            first = header[name]["data_offsets"][0] + row * prod(shape[1:]) * dtype.itemsize
            handle.seek(8 + len(text) + first)
            handle.write(part.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)

        yield put
        if any(missing.values()) or handle.seek(0, 2) != 8 + len(text) + end:
            raise RuntimeError(f"{path}: not every row was put once: {missing}")


def write_checkpoint(path: Path | str, value: object) -> None:
    """Write a checkpoint in torch's own format atomically, for what others read only so; prefer `write_tensors`."""
    import torch

    # Through a handle: given a path, torch writes its name, here a random one, into the file.
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        torch.save(value, handle)


def _rows(shape: Sequence[int]) -> int:
    """Rows of a tensor; a single number counts as one."""
    return shape[0] if shape else 1


def read_tensors(path: Path | str) -> dict[str, "torch.Tensor"]:
    """Read all tensors of a file. Raises UserError that names it if it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require_openable(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise_refused(error, path)
        raise UserError(f"{path}: damaged tensor file ({error}); delete it and run again") from None


def read_metadata(path: Path | str) -> dict[str, str]:
    """The text metadata of a file. Raises UserError as `read_tensors` does."""
    from safetensors import SafetensorError, safe_open

    _require_openable(path)
    try:
        with safe_open(path, "pt") as handle:
            return handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise_refused(error, path)
        raise UserError(f"{path}: damaged tensor file ({error}); delete it and run again") from None


def _require_openable(path: Path | str) -> None:
    """Raise UserError if a file is missing or may not be opened: safetensors calls every such file missing."""
    try:
        with about(path), open(path, "rb"):
            pass
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a tensor file") from None
