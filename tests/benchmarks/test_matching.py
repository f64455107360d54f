"""A user's image files with their prompts: by order, by a table, and what is said where they do not fit."""

import json

import numpy as np
import pytest
from PIL import Image

from pnapo.artifacts import prompt_id
from pnapo.artifacts.image_files import list_images
from pnapo.benchmarks.matching import match
from pnapo.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Images 1, 2, 10 (each of one shade, in three formats) and one in a folder below; a note that is no image."""
    for name, shade in (("img-10.png", 100), ("img-2.jpg", 20), ("img-1.webp", 10), ("sub/a.png", 200)):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 24), (shade,) * 3).save(tmp_path / "images" / name, quality=100)
    (tmp_path / "images" / "note.md").write_text("")
    return tmp_path / "images"


def shades(files):
    return [int(round(float(np.median(image)), -1)) for image in files]


def test_by_order_numbers_count_by_value(folder, tmp_path):
    (tmp_path / "p.txt").write_text("ten\ntwenty\nten\ntwo hundred\n\n")
    files, left = match(list_images([folder]), tmp_path / "p.txt")
    assert shades(files) == [10, 20, 100, 200] and left == 0 and len(files) == 4
    assert list(files.table["image"]) == ["img-1.webp", "img-2.jpg", "img-10.png", "sub/a.png"]
    assert list(files.table["prompt_id"]) == [prompt_id(text) for text in ("ten", "twenty", "ten", "two hundred")]
    assert list(files.table["sample"]) == [0, 0, 1, 0]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_by_a_table_it_decides_which_and_in_which_order(folder, tmp_path, kind):
    rows = [("sub/a.png", 'a "quoted", text'), ("images/img-2.jpg", "x"), ("sub/a.png", "again")]
    table = tmp_path / f"t.{kind}"
    entries = [{"prompt": p, "image": i, "more": 1} for i, p in rows]
    if kind == "jsonl":
        table.write_text("\n" + "\n".join(map(json.dumps, entries)))
    elif kind == "json":
        table.write_text(json.dumps(entries))
    else:
        table.write_text('prompt,image\n"a ""quoted"", text",sub/a.png\nx,images/img-2.jpg\nagain,sub/a.png\n')
    files, left = match(list_images([folder]), table)
    assert shades(files) == [200, 20, 200] and left == 2
    assert list(files.table["prompt"]) == [prompt for _, prompt in rows]


def test_images_are_turned_as_they_say(folder, tmp_path):
    picture = Image.new("RGB", (40, 24))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "p.txt").write_text("one")
    (pixels,) = match(list_images([tmp_path / "turned.jpg"]), tmp_path / "p.txt")[0]
    assert pixels.shape == (40, 24, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\nb\n", r"2 prompts for 4 images"),
        ("a\n\nb\nc\n", r"row 2: no prompt"),
        ("image,prompt\nnone.png,a\n", "row 1: no images are called none.png"),
        ("image,prompt\nother/a.png,a\n", "row 1: no images are called other/a.png"),
        ("image,prompt\nsub/a.png,\n", "row 1: no prompt"),
        ("image,text\nsub/a.png,b\n", "no column 'prompt'"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(folder, tmp_path, content, said):
    file = tmp_path / ("p.csv" if content.startswith("image") else "p.txt")
    file.write_text(content)
    with pytest.raises(UserError, match=said) as error:
        match(list_images([folder]), file)
    assert str(error.value).startswith(str(file))


def test_a_file_that_is_no_image_is_named(folder, tmp_path):
    (folder / "img-2.jpg").write_bytes((folder / "img-2.jpg").read_bytes()[:300])
    (folder / "sub" / "a.png").write_text("nothing")
    (tmp_path / "p.txt").write_text("one")
    for name in ("img-2.jpg", "sub/a.png"):
        with pytest.raises(UserError, match="not a readable image") as error:
            list(match(list_images([folder / name]), tmp_path / "p.txt")[0])
        assert str(error.value).startswith(str(folder / name)) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such file or folder"):
        list_images([folder / "img-3.png"])
    with pytest.raises(UserError, match="holds no images"):
        (tmp_path / "empty").mkdir()
        list_images([tmp_path / "empty"])
    with pytest.raises(UserError, match=r"two images are called a\.png"):
        (tmp_path / "a.png").write_bytes(b"")
        list_images([tmp_path / "a.png", folder / "sub" / "a.png"])
