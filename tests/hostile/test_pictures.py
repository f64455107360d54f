"""Pictures that are bombs, or none: one line that names the place, and no memory lost to them."""

import resource
import struct
import zlib
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image

from pnapo.artifacts.image_files import ImageFiles
from pnapo.artifacts.images import Images, png_writer, verify_images
from pnapo.errors import UserError
from pnapo.pairs.dataset import picture
from pnapo.report.images import open_picture


def png(side: int) -> bytes:
    """A PNG that says it is so large, in a few bytes."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ]
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    "data", [png(60_000), png(16)[:-30], b"GIF89a", POSTSCRIPT, b""], ids=["bomb", "cut", "gif", "program", "empty"]
)
def test_a_picture_that_is_none_is_named(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    run = []
    monkeypatch.setattr(
        EpsImagePlugin, "Ghostscript", lambda *given, **_: run.append(given) or Image.new("L", (1, 1)).im
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    manifest = tmp_path / "images" / "manifest.json"
    with png_writer(manifest, {}) as add:
        add(["a"], [0], [data])
    with pytest.raises(UserError, match=r"images\.parquet, row 0: not a readable image"):
        list(Images(manifest))
    assert verify_images(manifest) == [f"{manifest.with_name('images.parquet')}: the image of row 0 cannot be read"]
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.png: not a readable image"):
        list(ImageFiles([tmp_path / "a.png"], ["a"], ["a ring"]))
    with pytest.raises(UserError):
        open_picture(data)
    with pytest.raises(Exception) as found:
        picture({"bytes": data}, 32)
    assert not run
    assert "MemoryError" not in repr(found.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
