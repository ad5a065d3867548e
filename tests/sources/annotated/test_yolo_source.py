"""YOLO datasets in the layouts of Ultralytics, Roboflow and darknet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import converted, exported, labels, rows, write_files
from PIL import Image
from pycocotools import mask as coco_mask

import ngff_bio
from ngff_bio.errors import ArgumentError, SourceError
from ngff_bio.testing import check_source

SIZE = (40, 80)


def coco8(folder: Path, **changed: str) -> Path:
    """The layout of coco8, in the documentation of Ultralytics."""
    files = {
        "data.yaml": "path: ../datasets/coco8\ntrain: images/train\nval: images/val\ntest: # optional\n"
        "names:\n  0: no\n  1: 1e3\n  2: cell\n",
        "images/train/a.jpg": SIZE,
        "images/train/empty.png": SIZE,
        "images/val/b.jpg": SIZE,
        "labels/train/a.txt": "2 0.25 0.5 0.25 0.5\n0 0.75 0.5 0.125 0.25\n",
        "labels/train.cache": "\x01",
        "labels/val/b.txt": "1 0.1 0.1 0.5 0.1 0.5 0.9\n2 0.6 0.1 0.9 0.1 0.9 0.4 0.6 0.4\n",
    }
    return write_files(folder, files | changed)


def test_detection_and_segmentation_in_the_layout_of_ultralytics(tmp_path: Path) -> None:
    source = coco8(tmp_path / "in")
    check_source("yolo", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == ["train/a", "train/empty", "val/b"]
    assert data.attributes["splits"] == ["train", "val"]
    assert [f["splits"] for f in data["val/b"].attributes["frames"]] == [["val"]]
    first, second = rows(data, "train/a")
    # Class names are text, whatever YAML makes of them.
    assert (first["category"], second["category"], first["category_id"]) == ("cell", "no", "2")
    assert [first[f"box_{n}"] for n in ("x", "y", "width", "height")] == [10, 10, 20, 20]
    drawn = labels(data, "train/a")
    expected = np.zeros(SIZE, int)
    expected[10:30, 10:30], expected[15:25, 55:65] = 1, 2
    assert (drawn == expected).all()
    outline, obb = rows(data, "val/b")
    assert (outline["category"], obb["category"]) == ("1e3", "cell")
    assert np.allclose(np.concatenate(outline["polygons"]), [8, 4, 40, 4, 40, 36])
    runs = coco_mask.frPyObjects([[8.0, 4, 40, 4, 40, 36], [48.0, 4, 72, 4, 72, 16, 48, 16]], *SIZE)
    masks = coco_mask.decode(runs)
    assert (labels(data, "val/b") == masks[..., 0] + 2 * masks[..., 1]).all()


def test_predictions_keypoints_and_confidences_are_kept_in_the_record(tmp_path: Path) -> None:
    yaml = "train: images\nval: images\nkpt_shape: [2, 3]\nnames: [mouse]\n"
    lines = "0 0.5 0.5 0.5 0.5 0.4 0.4 2 0.6 0.6 1\n0 0.5 0.5 0.25 0.25 0.1 0.1 0 0.2 0.2 2 0.91\n"
    files = {"a.yaml": yaml, "images/a.png": SIZE, "labels/a.txt": lines}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    found = rows(data, layer="mouse")
    assert [r["box_width"] for r in found] == [40, 20]
    texts = [f'{{"line":"{line}"}}' for line in lines.splitlines()]
    assert [r["record"] for r in found] == texts
    assert np.array_equal([r["score"] for r in found], [np.nan, 0.91], equal_nan=True)


def test_confidences_of_boxes_are_scores_and_come_back(tmp_path: Path) -> None:
    lines = "0 0.5 0.5 0.25 0.5 0.875\n0 0.1 0.1 0.1 0.1 0.25\n"
    files: dict[str, str | tuple[int, int]] = {"images/a.png": SIZE, "images/b.png": SIZE}
    files["classes.txt"] = "cell\n"
    files |= {"labels/a.txt": lines, "labels/b.txt": "0 0.5 0.5 0.25 0.5\n"}
    source = write_files(tmp_path / "in", files)
    data = converted(source, tmp_path / "out.zarr")
    assert [r["score"] for r in rows(data, "a", "cell")] == [0.875, 0.25]
    assert "score" not in rows(data, "b", "cell")[0]
    assert exported(source, tmp_path / "again", "yolo")["labels/a.txt"].decode() == lines
    ngff_bio.export(tmp_path / "out.zarr", tmp_path / "coco", to="coco")
    (file,) = (tmp_path / "coco").rglob("*.json")
    found = json.loads(file.read_text())["annotations"]
    assert [a.get("score") for a in found] == [0.875, 0.25, None]


def test_byte_order_marks_of_editors_are_no_part_of_texts(tmp_path: Path) -> None:
    files: dict[str, str | tuple[int, int]] = {"a.png": SIZE, "classes.txt": "\ufeffcell\n"}
    source = write_files(tmp_path / "in", {**files, "a.txt": "\ufeff0 0.5 0.5 0.25 0.5\n"})
    data = converted(source, tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data, layer="cell")] == ["cell"]


def test_numbers_of_tracks_are_not_confidences(tmp_path: Path) -> None:
    """As Ultralytics writes them with ``save_txt`` and without ``save_conf``."""
    files: dict[str, str | tuple[int, int]] = {"images/a.png": SIZE}
    source = write_files(tmp_path, {**files, "labels/a.txt": "0 0.5 0.5 0.25 0.5 7\n"})
    with pytest.raises(SourceError, match="confidence of a line") as caught:
        ngff_bio.convert(source, tmp_path.parent / "out.zarr")
    assert (caught.value.record, caught.value.found) == ("line 1", "7")


@pytest.mark.parametrize("names", ["[a, b]", "{0: a, 1: b}"])
def test_a_number_of_classes_that_is_not_that_of_the_names_is_an_error(
    names: str, tmp_path: Path
) -> None:
    text = "train: images/train\nval: images/val\nnc: {}\nnames: {}\n"
    source = coco8(tmp_path / "in")
    (source / "data.yaml").write_text(text.format(3, names))
    with pytest.raises(SourceError, match="number of classes") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.file, error.value.record, error.value.found) == ("data.yaml", "nc", "3")
    (source / "data.yaml").write_text(text.format(3, "[a, b, c]"))
    assert ngff_bio.convert(source, tmp_path / "out.zarr").images == 3


def test_classes_of_darknet_files_of_roboflow_are_named(tmp_path: Path) -> None:
    name = "cell_png.rf.0a1b"
    files = {f"train/{name}.jpg": SIZE, f"train/{name}.txt": "1 0.5 0.5 0.25 0.5"}
    files["train/_darknet.labels"] = "RBC\nWBC"
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data)] == ["WBC"]


def test_the_layout_of_roboflow(tmp_path: Path) -> None:
    files: dict[str, str | tuple[int, int]] = {
        "README.roboflow.txt": "This dataset was exported via roboflow.com",
        "data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 1\n"
        "names: ['cell']\n\nroboflow:\n  workspace: w\n  version: 1\n",
    }
    for split in ("train", "valid", "test"):
        files[f"{split}/images/{split}_jpg.rf.0a1b.jpg"] = SIZE
        files[f"{split}/labels/{split}_jpg.rf.0a1b.txt"] = "0 0.5 0.5 0.5 0.5"
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert data.attributes["splits"] == ["train", "val", "test"]
    assert [len(rows(data, path)) for path in data] == [1, 1, 1]
    assert [data[p].attributes["frames"][0]["splits"] for p in data] == [
        ["test"],
        ["train"],
        ["val"],
    ]


@pytest.mark.parametrize("names", ["obj", "classes", "none"])
def test_darknet_has_label_files_beside_the_images(names: str, tmp_path: Path) -> None:
    files: dict[str, str | tuple[int, int]] = {
        "obj_train_data/1.jpg": SIZE,
        "obj_train_data/1.txt": "1 0.5 0.5 0.5 0.5\n",
    }
    if names == "obj":
        files |= {
            "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
            "obj.names": "a\nb\n",
            "train.txt": "data/obj_train_data/1.jpg\n",
        }
    elif names == "classes":
        files["obj_train_data/classes.txt"] = "a\nb\n"
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    layer = "objects"
    (row,) = rows(data, layer=layer)
    assert row["category_id"] == "1"
    assert row["category"] == (None if names == "none" else "b")
    assert data.attributes.get("splits") == (["train"] if names == "obj" else None)


@pytest.mark.parametrize("sample", ["yolo_darknet", "yolo_ultralytics"])
def test_the_samples_convert(sample: str, samples: Path, tmp_path: Path) -> None:
    source = samples / "generic" / sample
    check_source("yolo", source)
    data = converted(source, tmp_path / "out.zarr")
    lines = [
        line
        for file in source.rglob("*.txt")
        if file.with_suffix(".jpg").exists() or "labels" in file.parts
        for line in file.read_text().splitlines()
    ]
    assert sum(len(rows(data, path)) for path in data) == len(lines)


@pytest.mark.parametrize(
    ("line", "record", "found"),
    [
        ("3 0.5 0.5 0.1 0.1", "line 2", "3"),
        ("0 1.5 0.5 0.1 0.1", "line 2", "1.5"),
        ("0 -0.2 0.5 0.1 0.1", "line 2", "-0.2"),
        ("0 nan 0.5 0.1 0.1", "line 2", "nan"),
        ("0 0.5 0.5", "line 2", "3 values"),
        ("0.5 0.5 0.5 0.1 0.1", "line 2", "0.5"),
        ("-1 0.5 0.5 0.1 0.1", "line 2", "-1"),
        ("0 0.5 0.5 0.1 x", "line 2", "0 0.5 0.5 0.1 x"),
    ],
)
def test_a_wrong_line_is_an_error_or_is_skipped(
    line: str, record: str, found: str, tmp_path: Path
) -> None:
    text = f"0 0.25 0.5 0.25 0.5\n{line}\n1 0.5 0.5 0.25 0.25\n"
    source = coco8(tmp_path / "in", **{"labels/train/a.txt": text})
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr", format="yolo")
    told = error.value
    assert (told.file, told.record, told.found) == ("labels/train/a.txt", record, found)
    assert told.expected is not None
    assert "--on-error skip" in str(told.hint)
    done = ngff_bio.convert(source, tmp_path / "out.zarr", format="yolo", on_error="skip")
    assert [(n.file, n.record) for n in done.skipped] == [("labels/train/a.txt", record)]
    data = ngff_bio.open(tmp_path / "out.zarr")
    assert [r["indices"].tolist() for r in rows(data, "train/a")] == [[0], [2]]
    assert ngff_bio.verify(tmp_path / "out.zarr", source).equal


def test_a_box_among_outlines_is_a_warning(tmp_path: Path) -> None:
    # Ultralytics: a file with a line of more than 6 values has outlines, one of two points here
    text = "0 0.1 0.1 0.5 0.1 0.5 0.5\n0 0.1 0.1 0.5 0.5\n"
    source = coco8(tmp_path / "in", **{"labels/train/a.txt": text})
    done = ngff_bio.convert(source, tmp_path / "out.zarr")
    (told,) = [n for n in done.notices if n.kind == "warning"]
    assert "among outlines are read as boxes" in told.what
    assert told.record == "labels/train/a.txt line 2"


def test_a_label_file_without_its_image_is_an_error(tmp_path: Path) -> None:
    source = coco8(tmp_path / "in", **{"labels/train/lost.txt": "0 0.5 0.5 0.1 0.1"})
    with pytest.raises(SourceError, match="without their image") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "labels/train/lost.txt"
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.images, done.instances) == (3, 4)


def test_files_that_name_classes_differently_are_an_error(tmp_path: Path) -> None:
    source = coco8(tmp_path / "in", **{"other.yaml": "names: [x, y, z]\n"})
    with pytest.raises(SourceError, match="name the classes differently"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


def test_two_formats_in_one_folder_are_both_named(tmp_path: Path) -> None:
    source = coco8(tmp_path / "in", **{"a.json": '{"images": [], "annotations": []}'})
    with pytest.raises(ArgumentError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.found == "coco and yolo"
    assert "--format" in str(error.value.hint)


def test_texts_of_other_kinds_are_not_label_files(tmp_path: Path) -> None:
    files = {"a.png": SIZE, "a.txt": "gain 3", "labels.txt": "cell", "config.yaml": "names: [a]"}
    source = write_files(tmp_path / "in", files)
    with pytest.raises(SourceError, match="could hold annotations"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


def test_the_export_equals_the_source(tmp_path: Path) -> None:
    boxes = {"labels/val/b.txt": "1 0.1 0.1 0.05 0.1 0.93\n"}
    source = coco8(tmp_path / "in", **boxes)
    files = exported(source, tmp_path, "yolo")
    assert files == {
        name: (source / name).read_bytes()
        for name in ("data.yaml", "labels/train/a.txt", "labels/val/b.txt")
    }


def test_the_export_of_darknet_equals_the_source(tmp_path: Path) -> None:
    files: dict[str, str | tuple[int, int]] = {
        "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
        "obj.names": "a\nb\n",
        "train.txt": "data/obj_train_data/2.jpg\ndata/obj_train_data/1.jpg\n",
    }
    for name in "12":
        files[f"obj_train_data/{name}.jpg"] = SIZE
        files[f"obj_train_data/{name}.txt"] = f"1 0.5 0.5 0.{name} 0.5\n"
    source = write_files(tmp_path / "in", files)
    found = exported(source, tmp_path, "yolo")
    assert found == {n: t.encode() for n, t in files.items() if isinstance(t, str)}


def test_a_task_that_lines_are_not_of_is_written_anew(tmp_path: Path) -> None:
    source = coco8(tmp_path / "in", **{"labels/train/a.txt": ""})
    files = exported(source, tmp_path, "yolo-obb")
    outline, obb = files["labels/images/val/b.txt"].decode().splitlines()
    assert obb == "2 0.6 0.1 0.9 0.1 0.9 0.4 0.6 0.4"
    # The smallest box around a right triangle has its two legs as sides.
    values = np.array(outline.split()[1:], float).reshape(4, 2) * (SIZE[1], SIZE[0])
    assert np.allclose(sorted(map(tuple, values)), [(8, 4), (8, 36), (40, 4), (40, 36)])


def test_images_are_turned_by_their_exif_orientation_as_tools_show_them(tmp_path: Path) -> None:
    files = {"data.yaml": "names: [cell]\n", "labels/a.txt": "0 0.25 0.5 0.5 0.25\n"}
    source = write_files(tmp_path / "in", files)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, :40] = 255  # the left half of the stored pixels is the upper half of the image
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90 degrees, clockwise
    (source / "images").mkdir()
    Image.fromarray(pixels).save(source / "images/a.jpg", exif=exif, quality=95)
    data = converted(source, tmp_path / "out.zarr")
    drawn = labels(data, layer="cell")
    assert drawn.shape == (80, 40)
    assert drawn[30:50, :20].all()
    assert drawn.sum() == 20 * 20
    image = np.asarray(data[""].level(0)["image"])
    assert image[:, :38].min() > 200
    assert image[:, 42:].max() < 50


def test_a_dataset_file_whose_anchors_stand_for_billions_of_names_is_one_error(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    files = {"images/a.png": (40, 60), "labels/a.txt": "0 0.5 0.5 0.25 0.25\n"}
    data = "\n".join([*lines, "train: images", "val: images", "names: *a11"])
    write_files(tmp_path, {"data.yaml": data, **files})
    with pytest.raises(SourceError, match="wrong type"):
        ngff_bio.convert(tmp_path, tmp_path / "a.zarr")
