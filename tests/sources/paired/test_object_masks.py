"""A mask file for each object: every mask is one instance, pixel for pixel as scikit-image reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import converted
from makers import make_object_masks
from makers.paired import SIZE, disk, put, rgba
from skimage.io import imread
from stores import mask_of, pixels, table

import ngff_bio
from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.sources import open_tree
from ngff_bio.sources.registry import find_source
from ngff_bio.testing import check_source


def drawn(store: Path, image: str) -> dict[str, np.ndarray]:
    """Mask of each instance by its source id."""
    rows = table(store, image, "masks").to_dict("records")
    return {row["source_id"]: mask_of(store, image, row) for row in rows}


def test_each_mask_file_is_an_instance_and_overlaps_are_kept(tmp_path: Path) -> None:
    make_object_masks(tmp_path / "in")
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert (report.images, report.instances) == (3, 4)
    store = tmp_path / "out.zarr"
    for name, count in {"a1f0": 3, "b2e9": 1}.items():
        folder = tmp_path / "in/stage1_train" / name
        image = f"stage1_train/{name}"
        expected = imread(folder / f"images/{name}.png")
        opaque = np.moveaxis(expected, -1, 0)[:3]  # alpha is 255 everywhere
        assert (pixels(store, image) == opaque).all()
        masks = drawn(store, image)
        assert len(masks) == count
        for file in (folder / "masks").iterdir():
            assert (masks[file.stem] == (imread(file) > 0)).all()
        files = [json.loads(r)["file"] for r in table(store, image, "masks").record]
        assert files == [f"stage1_train/{name}/masks/{name}0{n}c.png" for n in range(count)]
    assert not (store / "stage1_test/c3d8/labels").exists()
    assert ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in").equal


def test_the_published_sample_has_an_instance_for_each_mask_file(
    samples: Path, tmp_path: Path
) -> None:
    source = samples / "generic/dsb"
    assert ngff_bio.convert(source, tmp_path / "a.zarr").instances == len(
        list(source.rglob("masks/*.png"))
    )
    assert ngff_bio.verify(tmp_path / "a.zarr", source, pixels=True).equal


@pytest.mark.parametrize("pattern", ["masks/{}_{}.png", "masks/{}-mask{}.png", "masks/{}/{}.png"])
def test_masks_named_after_their_image(pattern: str, tmp_path: Path) -> None:
    for name in ("well_1", "well_10"):
        put(tmp_path / f"in/images/{name}.png", disk(9, 9, 9, 3))
        for number in (1, 2):
            put(tmp_path / "in" / pattern.format(name, number), disk(10 * number, 20, 5, 1))
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert (report.images, report.instances) == (2, 4)
    masks = drawn(tmp_path / "out.zarr", "well_10")
    assert [m.sum() for m in masks.values()] == [disk(20, 20, 5, 1).sum()] * 2


@pytest.mark.parametrize(
    "names", [["a", "b"], ["a_mask", "b_mask"], ["a_1", "b_1"], ["a_nuclei_mask"]]
)
def test_label_images_are_not_masks_of_objects(names: list[str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"images/{name}.png", disk(9, 9, 9))
    for name in names:
        put(tmp_path / f"masks/{name}.png", disk(9, 9, 9, 5))
    assert find_source(open_tree(tmp_path)).name == "images"


def kaggle(mask: np.ndarray) -> str:
    """The run-length code of the competition's own description: from 1 on, down the columns."""
    flat = np.concatenate([[0], mask.T.reshape(-1) > 0, [0]])
    runs = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs))


def test_run_lengths_in_a_table(tmp_path: Path) -> None:
    disks = [disk(10, 10, 6), disk(12, 14, 6), disk(38, 48, 9)]
    put(tmp_path / "in/images/a.png", rgba(1))
    put(tmp_path / "in/images/empty.png", rgba(2))
    rows = [f"a,{kaggle(d)},{SIZE[0]},{SIZE[1]},Public" for d in disks] + ["empty,,40,50,Ignored"]
    text = "ImageId,EncodedPixels,Height,Width,Usage\n" + "\n".join(rows) + "\n"
    (tmp_path / "in/stage1_solution.csv").write_text(text)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert (report.images, report.instances) == (2, 3)
    listed = table(tmp_path / "out.zarr", "a", "masks").to_dict("records")
    for row, mask in zip(listed, disks, strict=True):
        assert (mask_of(tmp_path / "out.zarr", "a", row) == (mask > 0)).all()
        assert json.loads(row["record"])["Usage"] == "Public"
    assert ngff_bio.verify(tmp_path / "out.zarr", tmp_path / "in").equal
    check_source("object-masks", tmp_path / "in")


def test_run_lengths_of_other_competitions(tmp_path: Path) -> None:
    disks = [disk(10, 10, 6), disk(38, 48, 9)]
    for name in ("along", "down"):
        put(tmp_path / f"{name}/train/a.png", rgba(1))
    head = "id,annotation,width,height,cell_type,plate_time\n"
    rows = [f'a,{kaggle(d.T)},50,40,cort,"11h,30m"\n' for d in disks]  # along the rows
    (tmp_path / "along/train.csv").write_text(head + "".join(rows))
    (tmp_path / "along/sample_submission.csv").write_text("id,predicted\na,\n")
    rows = [f"a,kidney,40,50,{kaggle(d)},47\n" for d in disks]  # down the columns
    (tmp_path / "down/train.csv").write_text(
        "id,organ,img_height,img_width,rle,age\n" + "".join(rows)
    )
    for name, category in (("along", "cort"), ("down", "kidney")):
        data = converted(tmp_path / name, tmp_path / f"{name}.zarr")
        listed = data[""].annotations("masks").to_dict("records")
        for row, mask in zip(listed, disks, strict=True):
            assert (mask_of(tmp_path / f"{name}.zarr", "", row) == (mask > 0)).all()
            assert row["category"] == category


def test_the_other_tables_of_the_data_science_bowl(tmp_path: Path) -> None:
    make_object_masks(tmp_path / "in")
    (tmp_path / "in/classes.csv").write_text(
        "filename,foreground,background\na1f0.png,purple,white\n"
    )
    (tmp_path / "in/stage1_sample_submission.csv").write_text("ImageId,EncodedPixels\nc3d8,1 1\n")
    data = converted(tmp_path / "in", tmp_path / "out.zarr")
    (frame,) = data["stage1_train/a1f0"].attributes["frames"]
    assert frame["record"]["class"] == {
        "filename": "a1f0.png", "foreground": "purple", "background": "white"
    }  # fmt: skip
    assert not data["stage1_test/c3d8"].layers


@pytest.mark.parametrize(
    "row", ["a,5", "a,1 x", "a,0 4", "a,1999 3", "a,9 3 10 2", "a,1 4,40,51", "z,1 4"]
)
def test_run_lengths_that_do_not_fit_are_one_error(row: str, tmp_path: Path) -> None:
    put(tmp_path / "in/images/a.png", rgba(1))
    text = f"ImageId,EncodedPixels,Height,Width\na,1 4,40,50\n{row}\n"
    (tmp_path / "in/stage1_train_labels.csv").write_text(text)
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert error.value.file == "stage1_train_labels.csv"
    assert "row 2" in str(error.value.record) or "ImageId z" in str(error.value.record)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", on_error="skip")
    assert any(n.kind == "skipped" for n in report.notices)


def test_masks_and_the_same_rows_of_a_table_are_not_two(tmp_path: Path) -> None:
    make_object_masks(tmp_path / "in")
    text = "ImageId,EncodedPixels\n" + "".join(f"a1f0,{n} 1\n" for n in (1, 2, 3))
    (tmp_path / "in/stage1_train_labels.csv").write_text(text)
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert report.instances == 4
    assert any("the mask files are read" in n.what for n in report.notices)


@pytest.mark.parametrize("wrong", ["size", "values", "image", "damage"])
def test_a_wrong_mask_is_one_error_or_is_skipped(wrong: str, tmp_path: Path) -> None:
    make_object_masks(tmp_path / "in")
    folder = tmp_path / "in/stage1_train/a1f0"
    file = folder / "masks/a1f001c.png"
    if wrong == "size":
        put(file, disk(9, 9, 5)[:-1])
    elif wrong == "values":
        put(file, disk(9, 9, 5) + disk(20, 30, 4, 2))
    elif wrong == "image":
        (folder / "images/a1f0.png").unlink()
        file = folder / "masks/a1f000c.png"
    else:
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr")
    assert str(file).endswith(str(error.value.file))
    report = ngff_bio.convert(tmp_path / "in", tmp_path / "out.zarr", on_error="skip")
    assert any(n.kind == "skipped" for n in report.notices)
    assert report.images == (2 if wrong == "image" else 3)


def test_two_layouts_in_one_folder_are_both_named(tmp_path: Path) -> None:
    make_object_masks(tmp_path)
    (tmp_path / "a.json").write_text('{"images": [{"id": 1}], "annotations": [], "categories": []}')
    with pytest.raises(ArgumentError, match="object-masks") as error:
        find_source(open_tree(tmp_path))
    assert "coco" in str(error.value.found)
