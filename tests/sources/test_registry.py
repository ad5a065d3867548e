"""Which sources are asked about a folder: none that would know it is passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import makers
import numpy as np
import pytest
from PIL import Image

import ngff_bio
from ngff_bio.errors import ArgumentError, NgffBioError, SourceNotFoundError
from ngff_bio.sources import open_tree, sources
from ngff_bio.sources.registry import find_source

MAKERS = [name for name in makers.__all__ if name.startswith("make_")]


@pytest.mark.parametrize("leave_out", ["", ".json"])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_source_is_found_as_if_all_had_been_asked(
    maker: str, leave_out: str, tmp_path: Path
) -> None:
    make: Callable[[Path], Any] = getattr(makers, maker)
    make(tmp_path)
    for path in tmp_path.rglob("*"):
        if leave_out and path.suffix == leave_out:
            path.unlink()
    tree = open_tree(tmp_path)
    sure = {s.name: s.detect(tree) for s in sources().values()}
    assert sure[find_source(tree).name] == max(sure.values()) > 0


COCO = '{"images": [{"id": 1}], "annotations": [], "categories": []}'
LABELME = '{"shapes": [], "imagePath": "a.png", "imageData": null}'


@pytest.mark.parametrize(
    ("files", "found", "hint"),
    [
        ({}, "no files", "check the path"),
        ({"a.csv": "x,y", "b/c.CSV": "x", "n.md": "x"}, "2 .csv, 1 .md", "image files too"),
        ({"a.ics": "x", "b.ics": "x"}, "2 .ics", "bioformats2raw"),
        ({"a.json": COCO, "b.json": "{}"}, "2 .json", "holds both a.json and its image files"),
        ({"a.npy": "x"}, "1 .npy", "tifffile.imwrite"),
        ({"README.md": "x"}, "1 .md", "holds the image files"),
        ({"x.zarr/zarr.json": "{}"}, "no files", "convert one of them"),
        ({"a.xyz": "x", "b": "y"}, "1 .xyz, 1 without an ending", "save them as TIFF"),
    ],
)
def test_a_folder_that_no_source_takes_is_described(
    files: dict[str, str], found: str, hint: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceNotFoundError) as error:
        find_source(open_tree(tmp_path))
    assert error.value.found == found
    assert hint in str(error.value.hint)
    assert max(map(len, str(error.value).splitlines())) < 200 + len(str(tmp_path))


@pytest.mark.parametrize("text", [COCO, LABELME])
def test_for_an_annotation_file_alone_the_hint_is_its_folder_and_works(
    text: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(folder / "a.png")
    (folder / "a.json").write_text(text.replace('{"id": 1}', ""))
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(folder / "a.json", tmp_path / "out.zarr")
    what, _, place = str(error.value.hint).rpartition(": ")
    assert what == "give the folder that holds it and its image files, not the file"
    assert ngff_bio.convert(place, tmp_path / "out.zarr").images == 1


def test_the_hint_of_several_formats_names_all_and_the_folder_of_each(tmp_path: Path) -> None:
    for folder, document, text in (
        ("one", "listed.json", COCO.replace('"id": 1', '"id": 1, "file_name": "a.png"')),
        ("two", "a.txt", "0 0.5 0.5 0.1 0.1\n"),
        ("three", "a.json", LABELME),
    ):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / folder / "a.png")
        (tmp_path / folder / document).write_text(text)
    with pytest.raises(ArgumentError, match="several formats") as caught:
        find_source(open_tree(tmp_path))
    hint = caught.value.hint or ""
    assert all(f"--format {name}" in hint for name in ("coco", "labelme", "yolo"))
    for part in ("one (coco)", "two (yolo)", "three (labelme)"):
        assert part in hint
