"""Any folder of pictures: what is known is taken, what is not is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from PIL import Image

from ngff_bio.conversion import convert
from ngff_bio.errors import ArgumentError, SourceError, SourceNotFoundError
from ngff_bio.sources import find_source, open_tree
from ngff_bio.sources.images import read
from ngff_bio.testing import make_coco_folder, make_labelme_folder, make_tiff_folder

PLANE = (np.arange(48 * 64) % 200).astype(np.uint8).reshape(48, 64)
LABELS = (PLANE // 50).astype(np.uint16) * 100


def save(path: Path, array: np.ndarray, **told: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, **{"photometric": "minisblack", "metadata": None, **told})
    else:
        Image.fromarray(array).save(path)


def whole(pixels: Any) -> np.ndarray:
    return pixels.read(tuple((0, n) for n in pixels.shape))


def by_name(dataset: Any) -> dict[str, Any]:
    return {i.name: i for i in dataset.images}


def test_a_folder_of_every_kind_of_tiff_converts_without_an_option(tmp_path: Path) -> None:
    truth = make_tiff_folder(tmp_path, labels=True)
    assert find_source(open_tree(truth.root)).name == "images"
    report = convert(truth.root, tmp_path / "out.zarr")
    store = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    own = {
        g.attrs["ngff_bio"]["name"]: g
        for p in store["OME"].attrs["ome"]["series"]
        if (g := store[p]) and not p.startswith("masks/")
    }
    apart = {m.label_path.name for m in truth.images.values() if set(m.axes) & set("TZQ")}
    assert report.images == len(truth.images) + len(apart)
    told = [n for n in report.notices if "of other axes" in n.what]
    assert sum(n.count for n in told) == len(apart)
    for kind, made in truth.images.items():
        name = "series.tif" if kind == "series" else made.paths[0].name
        letters = made.axes.lower().replace("q", "z").replace("s", "c")
        expected = made.pixels
        if made.palette is not None:
            expected, letters = made.palette[made.pixels], "yxc"
        order = sorted(range(len(letters)), key=lambda i: "tczyx".index(letters[i]))
        np.testing.assert_array_equal(own[name]["0"][:], expected.transpose(order), err_msg=kind)
        if made.labels is not None and len(letters.replace("c", "")) == 2:
            np.testing.assert_array_equal(own[name]["labels/labels/0"][:], made.labels)


def test_a_label_image_has_a_row_for_each_object(tmp_path: Path) -> None:
    save(tmp_path / "d/img.tif", PLANE)
    save(tmp_path / "d/img_labels.tif", LABELS)
    convert(tmp_path / "d", tmp_path / "out.zarr")
    rows = pq.read_table(tmp_path / "out.zarr/tables/labels/table.parquet").to_pylist()
    assert {r["label"]: r["pixels"] for r in rows} == {
        v: int((v == LABELS).sum()) for v in (100, 200, 300)
    }


def test_the_real_image_and_its_mask_are_paired(samples: Path, tmp_path: Path) -> None:
    for name in ("img2d.tif", "mask2d.tif"):
        (tmp_path / name).symlink_to(samples / "tiff" / name)
    assert open_tree(tmp_path).names() == []
    for name in ("img2d.tif", "mask2d.tif"):
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes((samples / "tiff" / name).read_bytes())
    (image,) = read(open_tree(tmp_path)).images
    mask = tifffile.imread(samples / "tiff/mask2d.tif")
    np.testing.assert_array_equal(whole(image.labels[0].pixels), mask)
    assert (image.labels[0].max_value, image.labels[0].kind) == (int(mask.max()), "instance")


def test_real_imagej_files_convert_as_one_collection(samples: Path, tmp_path: Path) -> None:
    dataset = read(open_tree(samples / "tiff"))
    assert len(dataset.images) == 6
    axes = {i.name: i.axis_names for i in dataset.images}
    assert axes["xyzc_16bit__spots.tif"] == "czyx"


def test_label_pictures_with_a_palette_are_read_by_index(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    picture = Image.fromarray((PLANE // 50).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a_mask.png")
    (image,) = read(open_tree(tmp_path)).images
    np.testing.assert_array_equal(whole(image.labels[0].pixels), PLANE // 50)


def test_one_value_besides_0_is_a_class_unless_the_option_says_other(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    save(tmp_path / "a_mask.png", ((PLANE > 9) * 255).astype(np.uint8))
    dataset = read(open_tree(tmp_path))
    assert dataset.images[0].labels[0].kind == "semantic"
    assert any("--label-kind" in n.what for n in dataset.notices)
    (image,) = read(open_tree(tmp_path), label_kind="instance").images
    assert image.labels[0].kind == "instance"
    with pytest.raises(ArgumentError):
        read(open_tree(tmp_path), label_kind="other")


def test_a_label_image_of_another_shape_or_with_colours_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    for wrong, text in (
        (LABELS[:9], "differ in shape"),
        (np.dstack([PLANE] * 3), "no label image"),
    ):
        save(tmp_path / "a_labels.tif", wrong, photometric=None)
        with pytest.raises(SourceError, match=text) as caught:
            read(open_tree(tmp_path))
        assert caught.value.file == "a_labels.tif"
        dataset = read(open_tree(tmp_path), on_error="skip")
        assert not dataset.images[0].labels
        assert [n.kind for n in dataset.notices] == ["skipped"]


def test_negative_labels_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    save(tmp_path / "a_labels.tif", LABELS.astype(np.int16) - 5)
    with pytest.raises(SourceError, match="negative"):
        read(open_tree(tmp_path))


def test_a_mask_without_an_image_is_kept_as_an_image_and_told(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    save(tmp_path / "b.png", PLANE)
    save(tmp_path / "zz_mask.png", PLANE)
    dataset = read(open_tree(tmp_path))
    assert set(by_name(dataset)) == {"a.png", "b.png", "zz_mask.png"}
    assert any(n.kind == "warning" and n.record == "zz_mask.png" for n in dataset.notices)
    with pytest.raises(SourceError, match="no image is known"):
        read(open_tree(tmp_path), labels=["cells=zz*.png"])


def test_numbered_files_become_axes_with_labels_alike(tmp_path: Path) -> None:
    for t in (1, 2, 10):
        save(tmp_path / f"d/cell_t{t}.tif", PLANE + t)
        save(tmp_path / f"d/masks/cell_t{t}.tif", LABELS + t)
    (image,) = read(open_tree(tmp_path / "d")).images
    assert image.axis_names == "tyx"
    np.testing.assert_array_equal(whole(image.pixels), np.stack([PLANE + t for t in (1, 2, 10)]))
    np.testing.assert_array_equal(
        whole(image.labels[0].pixels), np.stack([LABELS + t for t in (1, 2, 10)])
    )
    assert [f.name for f in image.frames] == ["cell_t1.tif", "cell_t2.tif", "cell_t10.tif"]
    assert image.attributes["numbers"] == {"t": [1, 2, 10]}
    assert image.axes[0].scale is None


def test_numbered_files_that_differ_are_images_of_their_own(tmp_path: Path) -> None:
    save(tmp_path / "cell_t1.tif", PLANE)
    save(tmp_path / "cell_t2.tif", PLANE[:9])
    assert set(by_name(read(open_tree(tmp_path)))) == {"cell_t1.tif", "cell_t2.tif"}


def test_series_can_be_left_apart_by_the_option(tmp_path: Path) -> None:
    for z in (1, 2):
        save(tmp_path / f"cell_z{z}.tif", PLANE)
    assert len(read(open_tree(tmp_path)).images) == 1
    assert len(read(open_tree(tmp_path), series=False).images) == 2


def test_stacks_in_numbered_files_get_one_more_axis(tmp_path: Path) -> None:
    stack = np.stack([PLANE, PLANE + 1])
    for t in (0, 1):
        save(tmp_path / f"a_t{t}.tif", stack + t, imagej=True, metadata={"axes": "ZYX"})
    (image,) = read(open_tree(tmp_path)).images
    assert image.axis_names == "tzyx"
    np.testing.assert_array_equal(whole(image.pixels), np.stack([stack, stack + 1]))


def test_a_missing_file_of_a_series_is_0_and_told(tmp_path: Path) -> None:
    for t, z in ((1, 1), (1, 2), (2, 1)):
        save(tmp_path / f"a_t{t}_z{z}.tif", PLANE)
    dataset = read(open_tree(tmp_path))
    block = whole(dataset.images[0].pixels)
    assert block.shape[:2] == (2, 2)
    assert not block[1, 1].any()
    assert any("missing" in n.what for n in dataset.notices)


def test_a_tiff_of_several_images_is_a_collection(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        writer.write(PLANE)
        writer.write(PLANE[:20])
    dataset = read(open_tree(tmp_path))
    assert dataset.layout == "collection"
    assert [i.pixels.shape for i in dataset.images] == [(48, 64), (20, 64)]
    assert len({i.path for i in dataset.images}) == 2


def test_pages_that_nothing_describes_are_planes_and_the_option_is_named(tmp_path: Path) -> None:
    save(tmp_path / "s.tif", np.stack([PLANE] * 4))
    dataset = read(open_tree(tmp_path))
    assert dataset.images[0].axis_names == "zyx"
    assert any("--axes" in n.what for n in dataset.notices)
    assert read(open_tree(tmp_path), axes="tyx").images[0].axis_names == "tyx"


def test_odd_names_are_made_safe_and_kept_as_they_were(tmp_path: Path) -> None:
    for name in ("A9 p10d.tif.jpg", "b:1_2_x_3_4.png", "größe.png"):
        Image.fromarray(PLANE).save(tmp_path / name, "PNG" if name.endswith("png") else "JPEG")
    dataset = read(open_tree(tmp_path))
    assert {i.name for i in dataset.images} == {"A9 p10d.tif.jpg", "b:1_2_x_3_4.png", "größe.png"}
    assert all(i.path.isascii() and " " not in i.path and ":" not in i.path for i in dataset.images)


def test_a_damaged_picture_ends_it_or_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(SourceError) as caught:
        read(open_tree(tmp_path))
    assert caught.value.file == "b.png"
    dataset = read(open_tree(tmp_path), on_error="skip")
    assert [i.name for i in dataset.images] == ["a.png"]
    assert [n.file for n in dataset.notices] == ["b.png"]


def test_other_files_are_told_and_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.czi").write_bytes(b"x")
    with pytest.raises(SourceNotFoundError):
        read(open_tree(tmp_path))
    save(tmp_path / "a.png", PLANE)
    dataset = read(open_tree(tmp_path))
    assert [(n.kind, n.record) for n in dataset.notices] == [("skipped", "a.czi")]


def test_one_file_alone_is_an_image_at_the_root(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PLANE)
    convert(tmp_path / "a.png", tmp_path / "out.zarr")
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "out.zarr/0"), mode="r")[:], PLANE)


def test_the_name_tiff_means_the_same(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", PLANE)
    assert find_source(open_tree(tmp_path)).name == "images"
    dataset = find_source(open_tree(tmp_path), "tiff").read(open_tree(tmp_path))
    np.testing.assert_array_equal(whole(dataset.images[0].pixels), PLANE)


def test_folders_with_annotation_files_are_left_to_their_formats(tmp_path: Path) -> None:
    assert find_source(open_tree(make_labelme_folder(tmp_path / "l").root)).name == "labelme"
    assert find_source(open_tree(make_coco_folder(tmp_path / "c").root)).name == "coco"
