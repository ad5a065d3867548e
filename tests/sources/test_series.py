"""Numbered names: what makes an axis, and what only looks like it."""

from __future__ import annotations

import pytest

from ngff_bio.errors import ArgumentError
from ngff_bio.sources.label_files import label_file, pair_labels, parse_globs
from ngff_bio.sources.series import group_series


def test_numbers_are_sorted_as_numbers_and_axes_multiply() -> None:
    names = [f"series_t{t}_c{c}.tif" for t in (10, 1, 2) for c in (2, 1)]
    (series,) = group_series(names)
    assert (series.name, series.along) == ("series.tif", "tc")
    assert series.numbers == ((1, 2, 10), (1, 2))
    assert series.files == tuple(f"series_t{t}_c{c}.tif" for t in (1, 2, 10) for c in (1, 2))


@pytest.mark.parametrize(
    ("names", "along"),
    [
        (["a_z0003.tif", "a_z0001.tif"], "z"),
        (["exp-T00012.tif", "exp-T00013.tif"], "t"),
        (["t1z1.tif", "t1z2.tif"], "z"),
        (["mitoZ01.tif", "mitoZ02.tif"], "z"),
        (["frame_001.png", "frame_002.png"], "t"),
        (["a_ch00.tif", "a_ch01.tif"], "c"),
        (["a_t=1.tif", "a_t=2.tif"], "t"),
    ],
)
def test_usual_names_make_an_axis(names: list[str], along: str) -> None:
    (series,) = group_series(names)
    assert series.along == along
    assert series.there == sorted(names)


@pytest.mark.parametrize(
    "names",
    [
        ["cat001.tif", "cat002.tif"],
        ["A1.tif", "B1.tif", "C1.tif", "C2.tif"],
        ["x_A7_1.tif", "x_C7_1.tif", "x_C8_1.tif"],
        ["r01c01.tif", "r01c02.tif"],
        ["img_000.png", "img_001.png"],
        ["one/z1.tif", "two/z2.tif"],
        ["a_z1.tif", "a_z01.tif"],
        ["a_z1.tif", "a_z2.png"],
    ],
)
def test_wells_rows_words_and_folders_make_none(names: list[str]) -> None:
    assert [s.there for s in group_series(names)] == [[n] for n in sorted(names)]


def test_a_missing_file_leaves_its_place_empty() -> None:
    (series,) = group_series(["a_t1_z1.tif", "a_t1_z2.tif", "a_t2_z1.tif"])
    assert series.files == ("a_t1_z1.tif", "a_t1_z2.tif", "a_t2_z1.tif", None)


@pytest.mark.parametrize(
    ("name", "layer", "image"),
    [
        ("labels/a.tif", "labels", "a.tif"),
        ("masks/a.tif", "labels", "images/a.png"),
        ("x/masks_nuclei/a.tif", "nuclei", "x/a.tif"),
        ("a_mask.tif", "labels", "a.tif"),
        ("a_labels.png", "labels", "a.jpg"),
        ("mask2d.tif", "labels", "img2d.tif"),
        ("a_nuclei_mask.tif", "nuclei", "a.tif"),
        ("mask_01.tif", "labels", "raw_01.tif"),
        ("a.ome_labels.tif", "labels", "a.ome.tif"),
    ],
)
def test_label_images_by_convention_find_their_image(name: str, layer: str, image: str) -> None:
    mark = label_file(name)
    assert mark is not None
    others = ["other.tif", "deep/else/zz.tif"]
    found, lost = pair_labels([mark], [image, *others])
    assert not lost
    assert [(m.name, m.layer) for m in found[image]] == [(name, layer)]


@pytest.mark.parametrize("name", ["maskedarray.tif", "landmask.tif", "labelled.tif", "a.tif"])
def test_other_names_are_no_label_images(name: str) -> None:
    assert label_file(name) is None


def test_label_images_by_option_find_what_the_star_stands_for() -> None:
    globs = parse_globs(["nuclei=*_n.tif", "cells=seg/cell-*.png"])
    found, lost = pair_labels(
        [m for n in ("a_n.tif", "seg/cell-a.png") if (m := label_file(n, globs))],
        ["a.tif", "b.tif"],
    )
    assert not lost
    assert [m.layer for m in found["a.tif"]] == ["nuclei", "cells"]
    for wrong in ("nuclei", "=x", "a b=*.tif", "nuclei="):
        with pytest.raises(ArgumentError, match="name and a pattern"):
            parse_globs([wrong])


def test_a_label_image_that_could_be_of_two_images_is_of_none() -> None:
    mark = label_file("masks/a.tif")
    assert mark is not None
    found, lost = pair_labels([mark], ["x/deep/a.tif", "y/deep/a.tif"])
    assert not found
    assert lost == [mark]
