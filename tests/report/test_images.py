import io

import numpy as np
import pytest
from PIL import Image

from pnapo.errors import UserError
from pnapo.report.images import embed, evenly, grid, open_picture, wrap


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_evenly_covers_the_list():
    assert evenly(100, 4) == [12, 37, 62, 87]
    assert evenly(2, 9) == [0, 1]


def test_grid_keeps_pixels_hard_and_in_their_columns():
    red, blue = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    red[0, 0] = 7
    pictures = [Image.fromarray(red), Image.fromarray(blue)]
    page = np.asarray(grid(["base", "SFT"], [("one", pictures), ("two", pictures)], cell=40, caption_width=100))
    assert (page == [255, 0, 0]).all(-1).sum() == 2 * 3 * 20 * 20 and (page == 7).all(-1).sum() == 2 * 20 * 20
    assert (
        np.flatnonzero((page == [255, 0, 0]).all(-1).any(0)).max()
        < np.flatnonzero((page == [0, 0, 255]).all(-1).any(0)).min()
    )
    wide = grid(["base", "SFT"], [("one", pictures), ("two", pictures)], cell=40, caption_width=100, across=2)
    assert wide.width > page.shape[1] and wide.height < page.shape[0]


def test_captions_fit_whatever_they_are():
    lines = wrap("a short one", 400, 3, 12)
    assert lines == ["a short one"]
    cut = wrap("word " * 5000 + "W" * 10000, 100, 3, 12)
    assert len(cut) == 3 and cut[-1].endswith("…")
    assert len(wrap("W" * 300, 100, 4, 12)) == 4
    assert wrap("\n\x00 ", 100, 3, 12) == ["␀"]


def test_small_pictures_stay_exact_and_large_ones_shrink():
    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, 256, (n, n, 3), dtype=np.uint8) for n in (32, 1024))
    shown = embed(png(small))
    assert shown.pixel_art and shown.uri.startswith("data:image/png;base64,")
    assert not embed(png(large)).pixel_art and len(embed(png(large)).uri) < 120_000
    with pytest.raises(UserError, match="not a readable PNG"):
        open_picture(b"no picture")


def test_readme_grid_from_results_alone(results, script, tmp_path):
    for name in ("a.png", "b.png"):
        script("readme_figures", "--results", results, "--testset", "geneval", "--prompts", 2, "--out", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (12 + 150 + 4 * 102 - 6 + 12, 12 + 30 + 2 * 102 - 6 + 12)
    with pytest.raises(UserError, match="no backbone 'flux'"):
        script("readme_figures", "--results", results, "--backbone", "flux", "--out", tmp_path / "c.png")
