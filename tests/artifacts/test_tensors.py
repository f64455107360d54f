"""Tensors: bit for bit, the same bytes each time, and damage is named."""

import pytest
import torch
from safetensors.torch import save_file

from pnapo.artifacts import read_metadata, read_tensors, tensor_writer, write_tensors
from pnapo.errors import UserError

BITS = torch.tensor([0, 0x7FC00001, 1, 0x3F800000, -0x80000000, 0x7F800000], dtype=torch.int32)
TENSORS = {
    "odd numbers": BITS.view(torch.float32),  # NaN with a payload, a denormal, -0.0, infinity
    "half": torch.arange(6.0).bfloat16().reshape(2, 3),
    "turned": torch.arange(12).reshape(3, 4).T,
    "empty": torch.zeros(0, 3),
    "learned": torch.nn.Parameter(torch.ones(2)),
}
METADATA = {"prompt_ids": '["é😀\\n\\"\u0001"]', "seed": "0", "kind": "", "a": "1", "z": "2", "m": "3"}


def test_tensors_and_metadata_survive_bit_for_bit(tmp_path):
    file = tmp_path / "a.safetensors"
    write_tensors(file, TENSORS, METADATA)
    found = read_tensors(file)
    assert found.keys() == TENSORS.keys()
    assert torch.equal(found["odd numbers"].view(torch.int32), BITS)
    for name in ("half", "turned", "empty", "learned"):
        assert torch.equal(found[name], TENSORS[name]) and found[name].dtype == TENSORS[name].dtype
    assert read_metadata(file) == METADATA
    assert [f.name for f in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_same_content_gives_the_same_bytes(tmp_path):
    # safetensors itself orders the metadata anew at each call; the odds that eight agree by chance are nil.
    written = set()
    for _ in range(4):
        for tensors, metadata in ((TENSORS, METADATA), (dict(reversed(TENSORS.items())), METADATA)):
            write_tensors(tmp_path / "a.safetensors", tensors, dict(reversed(metadata.items())))
            written.add((tmp_path / "a.safetensors").read_bytes())
    assert len(written) == 1
    write_tensors(tmp_path / "b.safetensors", TENSORS)
    assert read_metadata(tmp_path / "b.safetensors") == {}


@pytest.mark.parametrize("read", [read_tensors, read_metadata])
@pytest.mark.parametrize("length", [0, 4, 100, -1, None])
def test_a_damaged_or_missing_file_is_named(tmp_path, read, length):
    file = tmp_path / "a.safetensors"
    write_tensors(file, TENSORS, METADATA)
    if length is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError) as error:
        read(file)
    expected = "no such file" if length is None else "damaged tensor file"
    assert str(error.value).startswith(f"{file}: {expected}") and "\n" not in str(error.value)


def test_the_bytes_are_those_of_safetensors(tmp_path):
    """Every type that it knows, and a single number; with one entry of metadata it has no order to change."""
    kinds = ["uint64", "int64", "float64", "complex64", "float32", "uint32", "int32", "bfloat16", "float16", "uint16"]
    kinds += ["int16", "int8", "uint8", "bool", "float8_e4m3fn", "float8_e5m2"]
    tensors = {f"{n % 3} {kind}": torch.ones(n % 4, 3).to(getattr(torch, kind)) for n, kind in enumerate(kinds)}
    for content in (TENSORS, {**tensors, "number": torch.tensor(3.0), "größe": torch.zeros(2)}, {}):
        content = {name: value.detach().contiguous() for name, value in content.items()}
        save_file(content, tmp_path / "theirs.safetensors", {"format": "pt"})
        write_tensors(tmp_path / "ours.safetensors", content, {"format": "pt"})
        assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


LAYOUT = {"rows": (torch.bfloat16, (5, 2, 3)), "others": (torch.float32, (2, 3)), "z": (torch.float32, (0, 4))}


def test_tensors_written_in_parts_are_those_written_at_once(tmp_path):
    rows, others = torch.randn(5, 2, 3).bfloat16(), torch.randn(2, 3)
    with tensor_writer(tmp_path / "parts.safetensors", LAYOUT, METADATA) as put:
        put("rows", 3, rows[3:])
        put("others", 0, others.T.contiguous().T)
        put("rows", 0, rows[:3])
    write_tensors(tmp_path / "whole.safetensors", {"rows": rows, "others": others, "z": torch.zeros(0, 4)}, METADATA)
    assert (tmp_path / "parts.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_parts_that_are_missing_or_do_not_fit_leave_no_file(tmp_path):
    file = tmp_path / "a.safetensors"
    for name, row, part in (("rows", 0, torch.zeros(5, 2, 3)), ("others", 0, torch.zeros(2, 4))):
        with pytest.raises(RuntimeError, match=f"{name} takes"), tensor_writer(file, LAYOUT) as put:
            put(name, row, part)
    with pytest.raises(RuntimeError, match="not every row"), tensor_writer(file, LAYOUT) as put:
        put("others", 0, torch.zeros(2, 3))
    assert not list(tmp_path.iterdir())
