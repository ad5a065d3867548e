"""Which image file a name in an annotation document is."""

from __future__ import annotations

import pytest

from ngff_bio.sources.annotated.pairing import ImageFinder

NAMES = ["images/train/a.jpg", "images/val/a.jpg", "images/val/b.PNG", "c.ome.tif", "x/d.png"]
NAMES += ["y/e f.png", "y/50%20.png", "100%.png"]


@pytest.mark.parametrize(
    ("given", "near", "found"),
    [
        ("images/val/a.jpg", "", "images/val/a.jpg"),
        ("val/a.jpg", "", "images/val/a.jpg"),
        ("data\\train\\a.jpg", "", "images/train/a.jpg"),
        ("a.jpg", "images/train", "images/train/a.jpg"),
        ("a.jpg", "", None),
        ("https://x.org/y/b.png?token=1", "", "images/val/b.PNG"),
        ("b", "", "images/val/b.PNG"),
        ("../../x/d.png", "images/val", "x/d.png"),
        ("C:\\data\\x\\d.png", "", "x/d.png"),
        # As Label Studio names files of its own computer and of cloud storage.
        ("https://x.org/e%20f.png?X-Amz-Date=1", "", "y/e f.png"),
        ("y%5Ce%20f.png", "", "y/e f.png"),
        ("100%25.png", "", "100%.png"),
        ("y/50%20.png", "", "y/50%20.png"),
        # A document that states another ending states another file.
        ("d.jpg", "", None),
        ("e.png", "", None),
    ],
)
def test_the_file_of_a_name(given: str, near: str, found: str | None) -> None:
    assert ImageFinder(NAMES).find(given, near) == found


def test_the_file_of_the_same_stem() -> None:
    finder = ImageFinder(NAMES)
    assert finder.of_stem("masks/b.png") == "images/val/b.PNG"
    assert finder.of_stem("masks/train/a.png") == "images/train/a.jpg"
    assert finder.of_stem("masks/a.png") is None
    assert finder.of_stem("masks/e.png") is None
    assert ImageFinder(["a.png", "a.jpg"]).of_stem("a.xml") is None
    assert finder.beside("images/val/b.json") == "images/val/b.PNG"
    assert finder.beside("b.json") is None
