"""Any folder with labelme files: each finds its image file, and its shapes are in place."""

from __future__ import annotations

import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from makers import make_labelme_folder
from masks import drawn_shape
from PIL import Image

from ngff_bio.conversion import convert
from ngff_bio.errors import SourceError, SourceNotFoundError
from ngff_bio.formats.labelme.labelme import restored_file, restored_shape
from ngff_bio.formats.problems import Problems
from ngff_bio.sources import find_source, open_tree
from ngff_bio.sources.labelme import folder


def read(tree: Any, on_error: str = "stop", **options: Any) -> Any:
    """The dataset, with the notices of reading it."""
    problems = Problems(on_error)
    return replace(folder.read(tree, problems, **options), notices=problems.gathered())


PLANE = (np.arange(20 * 30) % 200).astype(np.uint8).reshape(20, 30)


def put(folder: Path, name: str, **more: Any) -> None:
    shape = {"label": "cell", "points": [[2, 3], [9, 8]], "shape_type": "rectangle"}
    content = {"version": "4.5.7", "flags": {}, "shapes": [shape], "imagePath": "x.png"}
    content |= {"imageData": None, "imageHeight": 20, "imageWidth": 30} | more
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def put_image(path: Path, array: np.ndarray = PLANE, **options: Any) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path.read_bytes()


def pairs(dataset: Any) -> dict[str, str]:
    """Annotation file of each image file."""
    return {
        i.frames[0].name: i.frames[0].record["annotation_file"] for i in dataset.images if i.labels
    }


def test_a_folder_converts_and_its_files_can_be_written_again(tmp_path: Path) -> None:
    truth = make_labelme_folder(tmp_path, with_flags=True, extra_keys=True, without_shapes=1)
    assert find_source(open_tree(truth.root)).name == "labelme"
    convert(truth.root, tmp_path / "out.zarr")
    store = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    for path in store["OME"].attrs["ome"]["series"]:
        own = store[path].attrs["ngff_bio"]
        made = truth.images[own["name"].removesuffix(".png")]
        np.testing.assert_array_equal(store[path]["0"][:], np.moveaxis(made.pixels, -1, 0))
        file = tmp_path / "out.zarr" / path / "tables/objects/table.parquet"
        rows = pq.read_table(file).to_pylist() if file.exists() else []
        shapes = [restored_shape(r["record"], r["polygons"][0], r["mask"]) for r in rows]
        record = own["frames"][0]["record"]["labelme"]
        assert restored_file(record, shapes) == made.content


def test_every_real_sample_has_its_shapes_where_labelme_draws_them(
    samples: Path, tmp_path: Path
) -> None:
    convert(samples / "labelme/primitives", tmp_path / "out.zarr")
    rows = pq.read_table(tmp_path / "out.zarr/tables/objects/table.parquet").to_pylist()
    content = json.loads((samples / "labelme/primitives/primitives.json").read_text())
    size = (content["imageHeight"], content["imageWidth"])
    assert len(rows) == len(content["shapes"])
    for row, shape in zip(rows, content["shapes"], strict=True):
        array = tmp_path / "out.zarr/labels" / row["label_image"] / "0"
        drawn = zarr.open_array(str(array), mode="r")[:] == row["label"]
        expected = drawn_shape(size, shape["points"], shape["shape_type"])
        np.testing.assert_array_equal(drawn, expected)
    boxes = read(open_tree(samples / "labelme/bbox_detection"))
    assert len(boxes.images) == 3
    assert all(i.labels for i in boxes.images)


@pytest.mark.parametrize(
    "given", ["gone.png", "C:\\data\\gone.png", "/home/x/gone.png", "../../a.png"]
)
def test_the_sibling_image_is_used_whatever_imagepath_is(given: str, tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    put_image(tmp_path / "d/b.jpg")
    put(tmp_path / "d", "a.json", imagePath=given)
    put(tmp_path / "d", "b.json", imagePath=given)
    found = read(open_tree(tmp_path / "d"))
    assert pairs(found) == {"a.png": "a.json", "b.jpg": "b.json"}
    told = [n.record for n in found.notices if "imagePath names a file that is not there" in n.what]
    assert told == (["b.json"] if given == "../../a.png" else ["a.json, b.json"])


def test_imagepath_leads_to_image_files_in_other_folders(tmp_path: Path) -> None:
    truth = make_labelme_folder(tmp_path, split_folders=True)
    found = pairs(read(open_tree(truth.root)))
    assert len(found) == len(truth.images)
    for image, annotation in found.items():
        assert Path(image).stem == Path(annotation).stem


def test_a_windows_path_is_found_by_its_last_part(tmp_path: Path) -> None:
    put_image(tmp_path / "d/images/one.png")
    put_image(tmp_path / "d/images/two.png")
    put(tmp_path / "d", "note.json", imagePath="D:\\old\\images\\two.png")
    assert pairs(read(open_tree(tmp_path / "d"))) == {"images/two.png": "note.json"}


def test_the_embedded_image_is_used_only_where_no_file_is_found(tmp_path: Path) -> None:
    data = put_image(tmp_path / "other/x.png", 255 - PLANE)
    put_image(tmp_path / "d/a.png")
    text = base64.b64encode(data).decode()
    put(tmp_path / "d", "a.json", imageData=text)
    put(tmp_path / "d", "b.json", imageData=text, imagePath="gone.png")
    dataset = read(open_tree(tmp_path / "d"))
    found = {i.name: i.pixels.read(((0, 20), (0, 30))) for i in dataset.images}
    np.testing.assert_array_equal(found["a.png"], PLANE)
    np.testing.assert_array_equal(found["gone.png"], 255 - PLANE)


def test_an_embedded_image_is_named_after_its_image_path_where_no_other_has_it(
    tmp_path: Path,
) -> None:
    text = base64.b64encode(put_image(tmp_path / "other/x.png")).decode()
    put(tmp_path / "d", "0.json", imageData=text, imagePath="..\\raw\\cells.tif")
    put(tmp_path / "d", "1.json", imageData=text, imagePath="/home/x/cells.tif")
    dataset = read(open_tree(tmp_path / "d"))
    assert [i.path for i in dataset.images] == ["cells", "1.json"]
    assert [i.frames[0].name for i in dataset.images] == ["0.json", "1.json"]


def test_annotations_without_any_image_are_refused_or_passed_over(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    put(tmp_path / "d", "a.json")
    put(tmp_path / "d", "gone.json", imagePath="gone.png")
    with pytest.raises(SourceError, match="annotations without their image") as caught:
        read(open_tree(tmp_path / "d"))
    assert caught.value.file == "gone.json"
    dataset = read(open_tree(tmp_path / "d"), on_error="skip")
    assert len(dataset.images) == 1
    assert [n.file for n in dataset.notices if n.kind == "skipped"] == ["gone.json"]


def test_images_without_annotations_are_kept(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    put_image(tmp_path / "d/b.png")
    put(tmp_path / "d", "a.json")
    dataset = read(open_tree(tmp_path / "d"))
    assert {i.name for i in dataset.images} == {"a.png", "b.png"}
    assert any(n.what == "image files without annotations" for n in dataset.notices)


def test_another_size_is_refused_or_scaled_by_the_option(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    put(tmp_path / "d", "a.json", imageHeight=40, imageWidth=60)
    with pytest.raises(SourceError, match="another size") as caught:
        read(open_tree(tmp_path / "d"))
    assert "--scale-annotations" in str(caught.value)
    (image,) = read(open_tree(tmp_path / "d"), scale_annotations=True).images
    assert image.labels[0].instances.read(0)[0].geometry.points == ((1, 1.5), (4.5, 4))
    (image,) = read(open_tree(tmp_path / "d"), on_error="skip").images
    assert not image.labels


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_exif_orientation_is_applied_as_labelme_does(turn: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    put_image(tmp_path / "d/a.jpg", np.dstack([PLANE] * 3), exif=exif.tobytes())
    with Image.open(tmp_path / "d/a.jpg") as stored:
        expected = np.moveaxis(np.asarray(ImageOps.exif_transpose(stored)), -1, 0)
    put(tmp_path / "d", "a.json", imageHeight=expected.shape[1], imageWidth=expected.shape[2])
    (image,) = read(open_tree(tmp_path / "d")).images
    assert image.pixels.shape == expected.shape
    np.testing.assert_array_equal(
        image.pixels.read(tuple((0, n) for n in expected.shape)), expected
    )
    np.testing.assert_array_equal(
        image.pixels.read(((1, 2), (3, 9), (4, 15))), expected[1:2, 3:9, 4:15]
    )


def test_two_files_of_one_image_are_two_layers(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    put(tmp_path / "d", "a.json")
    put(tmp_path / "d", "second.json", imagePath="a.png")
    dataset = read(open_tree(tmp_path / "d"))
    assert [x.name for x in dataset.images[0].labels] == ["cell", "cell-second"]
    assert any("two annotation files" in n.what for n in dataset.notices)


def test_a_wrong_shape_ends_it_or_is_passed_over(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    good = {"label": "cell", "points": [[2, 3], [9, 8]], "shape_type": "rectangle"}
    wrong = good | {"points": [[1, 1]]}
    put(tmp_path / "d", "a.json", shapes=[wrong, good], imagePath="a.png")
    with pytest.raises(SourceError) as caught:
        read(open_tree(tmp_path / "d"))
    assert (caught.value.file, caught.value.record) == ("a.json", "shapes[0].points")
    dataset = read(open_tree(tmp_path / "d"), on_error="skip")
    assert len(dataset.images[0].labels[0].instances.read(0)) == 1
    assert [n.record for n in dataset.notices] == ["shapes[0].points"]


def test_rotated_rectangles_of_other_programs_are_outlines(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    corners = [[4.0, 2.0], [12.0, 6.0], [9.0, 12.0], [1.0, 8.0]]
    kinds = ("rotation", "oriented_rectangle", "rectangle", "quadrilateral")
    given = [{"label": "cell", "points": corners, "shape_type": kind} for kind in kinds]
    put(tmp_path / "d", "a.json", shapes=given)
    convert(tmp_path / "d", tmp_path / "out.zarr")
    table = pq.read_table(tmp_path / "out.zarr/tables/cell/table.parquet").to_pylist()
    expected = np.count_nonzero(drawn_shape((20, 30), corners))
    assert [row["pixels"] for row in table] == [expected] * 4
    assert [restored_shape(r["record"], r["polygons"][0]) for r in table] == given


def test_a_folder_reads_from_a_zip_too(tmp_path: Path) -> None:
    truth = make_labelme_folder(tmp_path)
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        for path in truth.root.rglob("*.*"):
            archive.write(path, path.relative_to(truth.root))
    assert len(read(open_tree(tmp_path / "l.zip")).images) == len(truth.images)


def test_a_folder_without_labelme_files_is_refused(tmp_path: Path) -> None:
    put_image(tmp_path / "d/a.png")
    with pytest.raises(SourceNotFoundError):
        read(open_tree(tmp_path / "d"))
