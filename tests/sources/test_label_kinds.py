"""What values of label images mean: objects, classes, or masks whose connected regions are objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
import zarr
from PIL import Image

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.errors import ArgumentError, SourceError

CELLS = np.zeros((40, 50), np.uint8)
CELLS[2:9, 3:9] = 255
CELLS[9, 9] = 255  # touches at a corner
CELLS[15:30, 20:22] = 255
CELLS[35:38, 40:49] = 255


def write(folder: Path, **labels: np.ndarray) -> Path:
    """Two images, and label images of both by layer."""
    (folder / "images").mkdir(parents=True)
    for name in "ab":
        Image.fromarray(np.full((40, 50), 9, np.uint8)).save(folder / "images" / f"{name}.png")
        for layer, values in labels.items():
            (folder / layer).mkdir(exist_ok=True)
            Image.fromarray(values).save(folder / layer / f"{name}.png")
    return folder


def convert(folder: Path, **options: Any) -> tuple[ngff_bio.Dataset, ngff_bio.ConversionReport]:
    store = folder.with_suffix(".zarr")
    report = ngff_bio.convert(folder, store, options=options, overwrite=True)
    assert verify(store, folder).equal
    return ngff_bio.open(store), report


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_is_semantic_and_the_report_says_how_to_get_objects(
    tmp_path: Path, value: int
) -> None:
    opened, report = convert(
        write(tmp_path / "in", masks=np.where(CELLS > 0, value, 0).astype("u1"))
    )
    assert report.instances == 0
    assert opened["a"].label_attributes("masks")["values"] == "semantic"
    (note,) = [n for n in report.notices if "masks" in n.what]
    assert "--label-kind objects" in note.what
    assert note.record == "layer masks: 2 images"


def test_connected_regions_of_a_mask_are_objects_on_request(tmp_path: Path) -> None:
    opened, report = convert(write(tmp_path / "in", masks=CELLS), label_kind="objects")
    expected = skimage.measure.label(CELLS, connectivity=2)
    assert report.instances == 2 * expected.max() == 6
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "in.zarr/a/labels/masks/0", mode="r")[:], expected
    )
    areas = [one.area for one in skimage.measure.regionprops(expected)]
    assert list(opened["a"].annotations()["pixels"]) == areas
    assert any("connected regions" in n.what for n in report.notices)


def test_frames_of_a_movie_of_masks_have_objects_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "masks").mkdir(parents=True)
    for t, mask in enumerate((CELLS, CELLS[::-1])):
        Image.fromarray(np.full((40, 50), t, np.uint8)).save(folder / f"a_t{t}.png")
        Image.fromarray(mask).save(folder / "masks" / f"a_t{t}.png")
    opened, report = convert(folder, label_kind="objects")
    assert report.instances == 6
    assert list(opened[""].annotations()["t"]) == [0, 0, 0, 1, 1, 1]


def test_an_image_of_one_object_among_others_does_not_make_a_mask(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", labels=np.where(CELLS > 0, 1, 0).astype("u1"))
    Image.fromarray(skimage.measure.label(CELLS).astype("u1")).save(folder / "labels" / "b.png")
    opened, report = convert(folder)
    assert report.instances == 1 + skimage.measure.label(CELLS).max()
    assert opened["a"].label_attributes("labels")["values"] == "instance"


def test_each_layer_has_its_kind(tmp_path: Path) -> None:
    classes = np.where(CELLS > 0, 3, 0).astype("u1")
    classes[0, 0] = 2
    folder = write(tmp_path / "in", masks=CELLS, labels=classes)
    opened, _ = convert(folder, label_kind=["labels=semantic", "masks=objects"])
    kinds = {n: opened["a"].label_attributes(n)["values"] for n in ("masks", "labels")}
    assert kinds == {"masks": "instance", "labels": "semantic"}
    assert set(opened["a"].tables) == {"masks"}


def test_voc_has_classes_and_objects_and_255_is_neither(tmp_path: Path) -> None:
    objects = skimage.measure.label(CELLS, connectivity=2).astype("u1")
    objects[12, :] = 255
    classes = np.where(objects == 255, 255, np.where(objects > 0, 15, 0)).astype("u1")
    folder = write(tmp_path / "in", SegmentationClass=classes, SegmentationObject=objects)
    opened, report = convert(folder)
    assert report.instances == 6
    kinds = {n: opened["a"].label_attributes(n)["values"] for n in opened["a"].layers}
    assert kinds == {"segmentation_class": "semantic", "segmentation_object": "instance"}
    assert list(opened["a"].annotations("segmentation_object")["label"]) == [1, 2, 3]


@pytest.mark.parametrize("wrong", ["cells", "nuclei=instance", ["semantic", "instance"]])
def test_a_kind_or_layer_that_is_not_there_is_an_argument_error(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ArgumentError):
        convert(write(tmp_path / "in", masks=CELLS), label_kind=wrong)


def test_connected_regions_of_classes_are_refused(tmp_path: Path) -> None:
    classes = skimage.measure.label(CELLS).astype("u1")
    with pytest.raises(SourceError, match="not a mask"):
        convert(write(tmp_path / "in", masks=classes), label_kind="objects")


def test_labels_are_found_by_a_word_within_the_name_of_their_image(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    grey = np.random.default_rng(1).integers(1, 255, (40, 50)).astype(np.uint8)
    for t in (1, 70):
        labels = skimage.measure.label(CELLS).astype("u1")
        Image.fromarray(labels).save(folder / f"xy_8bit_labels__cells_t{t}.png")
        Image.fromarray(grey).save(folder / f"xy_8bit__cells_t{t}.png")
    Image.fromarray(grey).save(folder / "a_mask_of_paper.png")  # there is no `a_of_paper`
    opened, report = convert(folder)
    assert report.images == 2
    assert opened["xy_8bit__cells"].label_attributes("labels")["values"] == "instance"
