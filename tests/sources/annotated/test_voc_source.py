"""Pascal VOC in the layout of its devkit, of labelImg and of CVAT."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import converted, exported, labels, rows, values_of, write_files
from PIL import Image
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.cli.app import app
from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import Problems
from ngff_bio.sources import open_tree
from ngff_bio.sources.annotated.voc import SOURCE
from ngff_bio.testing import check_source

SIZE = (10, 20)


def xml(*objects: str, name: str = "a.jpg", size: tuple[int, int] = SIZE) -> str:
    return (
        f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{name}</filename>\n\t<source>\n"
        "\t\t<database>The VOC2012 Database</database>\n\t</source>\n\t<size>\n"
        f"\t\t<width>{size[1]}</width>\n\t\t<height>{size[0]}</height>\n\t\t<depth>3</depth>\n"
        f"\t</size>\n\t<segmented>1</segmented>\n{''.join(objects)}</annotation>\n"
    )


def thing(name: str, *box: float, rest: str = "") -> str:
    sides = "".join(
        f"<{k}>{v:g}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{rest}<bndbox>{sides}</bndbox></object>"


def palette_image(path: Path, values: np.ndarray) -> None:
    """A label image with the colors of VOC: 0 black, 1 dark red, 2 dark green, 255 cream."""
    image = Image.fromarray(values.astype(np.uint8), "P")
    colors = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 255: (224, 224, 192)}
    image.putpalette([v for i in range(256) for v in colors.get(i, (i, i, i))])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


PERSON = "<difficult>1</difficult><part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>"


def devkit(folder: Path, **changed: str) -> Path:
    files: dict[str, str | tuple[int, int]] = {
        "Annotations/a.xml": xml(
            thing("person", 1, 1, 4, 3, rest=PERSON), thing("cat", 6, 2, 20, 10)
        ),
        "Annotations/b.xml": xml(name="b.jpg"),
        "JPEGImages/a.jpg": SIZE,
        "JPEGImages/b.jpg": SIZE,
        "ImageSets/Main/train.txt": "a\n",
        "ImageSets/Main/val.txt": "b\n",
        "ImageSets/Main/cat_train.txt": "a  1\n",
        "ImageSets/Segmentation/train.txt": "a\n",
    }
    write_files(folder, files | changed)
    classes = np.zeros(SIZE)
    classes[:3, :4], classes[:3, 4], classes[5:8, 5:9] = 1, 255, 2
    objects = np.zeros(SIZE)
    objects[:3, :4], objects[:3, 4], objects[5:8, 5:9] = 1, 255, 2
    palette_image(folder / "SegmentationClass/a.png", classes)
    palette_image(folder / "SegmentationObject/a.png", objects)
    return folder


def test_the_layout_of_the_devkit(tmp_path: Path) -> None:
    source = devkit(tmp_path / "in")
    check_source("voc", source)
    data = converted(source, tmp_path / "out.zarr")
    assert list(data) == ["a", "b"]
    assert [data[p].attributes["frames"][0]["splits"] for p in data] == [["train"], ["val"]]
    sets = data["a"].attributes["frames"][0]["record"]["image_sets"]
    assert sets == {"Main/cat_train": "1", "Main/train": "", "Segmentation/train": ""}
    person, cat = rows(data, "a", "objects")
    # Pixels count from 1, and both ends are in the box (devkit_doc.pdf).
    expected = np.zeros(SIZE, int)
    expected[0:3, 0:4], expected[1:10, 5:20] = 1, 2
    assert (labels(data, "a") == expected).all()
    assert [person[f"box_{n}"] for n in ("x", "y", "width", "height")] == [0, 0, 4, 3]
    record = json.loads(person["record"])
    assert record["bndbox"] == {"xmin": "1", "ymin": "1", "xmax": "4", "ymax": "3"}
    assert record["part"]["name"] == "head"
    assert cat["category"] == "cat"
    drawn = labels(data, "a", "segmentation_class")
    assert sorted(np.unique(drawn)) == [0, 1, 2, 255]
    assert (drawn == 255).sum() == 3
    categories = data["a"].label_attributes("segmentation_class")["categories"]
    assert {c["id"]: c["name"] for c in categories}[2] == "bicycle"
    assert {c["id"]: c["name"] for c in categories}[255] == "void"
    assert {c["id"]: c["color"] for c in categories if "color" in c}[2] == [0, 128, 0, 255]
    # Void is no object.
    assert sorted(np.unique(labels(data, "a", "segmentation_object"))) == [0, 1, 2]
    objects = rows(data, "a", "segmentation_object")
    assert [(r["label"], r["category"], r["pixels"]) for r in objects] == [
        (1, "aeroplane", 12),
        (2, "bicycle", 12),
    ]


def test_colors_of_a_label_map(tmp_path: Path) -> None:
    files: dict[str, str | tuple[int, int]] = {
        "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell:128,0,0::\n"
        "nucleus:10,20,30::\n",
        "JPEGImages/a.png": SIZE,
    }
    source = write_files(tmp_path / "in", files)
    colors = np.zeros((*SIZE, 3), np.uint8)
    colors[:2, :2], colors[4:6, 4:6] = (10, 20, 30), (128, 0, 0)
    (source / "SegmentationClass").mkdir()
    Image.fromarray(colors).save(source / "SegmentationClass/a.png")
    data = converted(source, tmp_path / "out.zarr")
    drawn = labels(data, "", "segmentation_class")
    assert (drawn[:2, :2] == 2).all()
    assert (drawn[4:6, 4:6] == 1).all()
    assert (drawn != 0).sum() == 8
    colors[0, 0] = (9, 9, 9)
    Image.fromarray(colors).save(source / "SegmentationClass/a.png")
    with pytest.raises(SourceError, match="colors of no class") as error:
        ngff_bio.convert(source, tmp_path / "other.zarr")
    assert error.value.file == "SegmentationClass/a.png"
    assert error.value.found == "(9, 9, 9): 1 pixels"
    done = ngff_bio.convert(source, tmp_path / "other.zarr", on_error="skip")
    assert [n.file for n in done.skipped] == ["SegmentationClass/a.png"]


def test_coordinates_from_0_are_seen_where_one_is_0(tmp_path: Path) -> None:
    text = xml(thing("cat", 0, 2, 4, 6))
    files = {"a.xml": text, "a.jpg": SIZE, "b.xml": xml(thing("cat", 3, 3, 5, 5), name="b.jpg")}
    source = write_files(tmp_path / "in", {**files, "b.jpg": SIZE})
    data = converted(source, tmp_path / "out.zarr")
    assert [rows(data, p)[0]["box_x"] for p in data] == [0, 3]
    forced = tmp_path / "forced.zarr"
    command = ["convert", str(source), str(forced), "-O", "first_pixel=1"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert rows(ngff_bio.open(forced), "b")[0]["box_x"] == 2


def test_rotated_boxes_and_polygons_of_other_tools(tmp_path: Path) -> None:
    turned = (
        "<object><name>cell</name><robndbox><cx>10</cx><cy>5</cy><w>8</w><h>2</h>"
        "<angle>1.5707963267948966</angle></robndbox></object>"
    )
    corners = "<polygon><x1>1</x1><y1>1</y1><x2>5</x2><y2>1</y2><x3>5</x3><y3>5</y3></polygon>"
    of_cvat = (
        "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
    )
    things = (
        thing("cell", 1, 1, 5, 5, rest=corners),
        thing("cell", 13, 5, 18, 6, rest=of_cvat),
        thing("cell", 1, 9, 5, 9, rest=of_cvat.replace("90", "0")),
    )
    files = {"a.xml": xml(turned, *things), "a.jpg": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    drawn = labels(data, layer="cell")
    y, x = np.nonzero(drawn == 1)
    assert (x.min(), x.max(), y.min(), y.max()) == (9, 10, 1, 8)
    second = rows(data, layer="cell")[1]
    assert np.concatenate(second["polygons"]).tolist() == [1, 1, 5, 1, 5, 5]
    y, x = np.nonzero(drawn == 3)
    assert (x.min(), x.max(), y.min(), y.max()) == (14, 15, 2, 7)
    assert (drawn == 4)[8, :5].all()


@pytest.mark.parametrize(
    ("text", "record", "found"),
    [
        (xml(thing("cat", 5, 2, 3, 6)), "object[0].bndbox", "5, 2, 3, 6"),
        (xml("<object><name>cat</name></object>"), "object[0]", "name"),
        (xml("<object><bndbox/></object>"), "object[0].name", "no such value"),
        (xml(thing("cat", 1, 1, 2, 2), size=(10, 21)), "a.jpg", "10 x 20 in JPEGImages/a.jpg"),
        (xml(thing("cat", 1, 1, 2, 2), name="b.jpg"), "filename", "b.jpg"),
        (xml(thing("cat", 1, 1, 2, 2), name="other.jpg"), "filename", "other.jpg"),
        (xml("<object><name>cat</name><bndbox><xmin>x</xmin></bndbox></object>"),
         "object[0].bndbox.xmin", "'x'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_an_error_or_is_skipped(
    text: str, record: str, found: str, tmp_path: Path
) -> None:
    source = devkit(tmp_path / "in", **{"Annotations/a.xml": text})
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    told = error.value
    assert (told.file, told.record, told.found) == ("Annotations/a.xml", record, found)
    assert told.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert [(n.file, n.record) for n in done.skipped] == [("Annotations/a.xml", record)]


def test_annotations_without_their_image_are_an_error(tmp_path: Path) -> None:
    source = devkit(tmp_path / "in")
    (source / "JPEGImages/b.jpg").unlink()
    with pytest.raises(SourceError, match="without their image") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "Annotations/b.xml"


def test_the_sample_converts(samples: Path, tmp_path: Path) -> None:
    source = samples / "generic" / "voc"
    check_source("voc", source)
    data = converted(source, tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data, "2007_000001", "objects")] == ["cat", "person"]
    assert data.attributes["splits"] == ["train", "test"]


def test_the_export_equals_the_source(tmp_path: Path) -> None:
    source = devkit(tmp_path / "in")
    files = exported(source, tmp_path, "voc")
    expected = {f.relative_to(source).as_posix(): f for f in source.rglob("*.*")}
    assert set(files) == {n for n in expected if not n.endswith(".jpg")}
    for name, data in files.items():
        if name.endswith(".xml"):
            assert values_of(data) == values_of(expected[name].read_text())
        elif name.endswith(".txt"):
            assert data == expected[name].read_bytes()
        else:
            found, wanted = Image.open(tmp_path / "exported" / name), Image.open(expected[name])
            assert (np.asarray(found) == np.asarray(wanted)).all()
            assert found.getpalette()[:9] == wanted.getpalette()[:9]


def test_an_export_of_another_source_converts_to_the_same_labels(tmp_path: Path) -> None:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[3:9, 4:12], pixels[4, 6], pixels[0:2, 15:20] = 3, 0, 7
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full(SIZE, 9, np.uint8)).save(tmp_path / "in/a.png")
    Image.fromarray(pixels).save(tmp_path / "in/a_mask.png")
    ngff_bio.convert(tmp_path / "in", tmp_path / "a.zarr")
    ngff_bio.export(tmp_path / "a.zarr", tmp_path / "voc", to="voc", images=True)
    data = converted(tmp_path / "voc", tmp_path / "b.zarr")
    drawn = labels(data, layer="segmentation_object")
    assert ((drawn == 1) == (pixels == 3)).all()
    assert ((drawn == 2) == (pixels == 7)).all()
    boxes = rows(data, "", next(n for n in data[""].layers if "segmentation" not in n))
    sides = [[r[f"box_{n}"] for n in ("x", "y", "width", "height")] for r in boxes]
    assert sides == [[4, 3, 8, 6], [15, 0, 5, 2]]


def test_instances_change_with_the_number_of_the_first_pixel(tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.xml": xml(thing("cat", 3, 3, 5, 5)), "a.jpg": SIZE})
    tree = open_tree(source)
    parts = [
        tuple(
            map(
                str, SOURCE.read(tree, Problems(), first_pixel=n).images[0].labels[0].source_parts()
            )
        )
        for n in (0, 1)
    ]
    assert parts[0] != parts[1]


def test_an_object_with_a_box_and_pixels_is_exported_once(tmp_path: Path) -> None:
    ngff_bio.convert(devkit(tmp_path / "in"), tmp_path / "a.zarr")
    for task, count in (("yolo", 2), ("yolo-seg", 2)):
        done = ngff_bio.export(tmp_path / "a.zarr", tmp_path / task, to=task)
        (file,) = (tmp_path / task).rglob("a.txt")
        lines = file.read_text().splitlines()
        assert len(lines) == count
        assert any("exported once" in n.what for n in done.notices)


def test_what_labelme2voc_writes(tmp_path: Path) -> None:
    values = np.zeros(SIZE)
    values[2:5, 3:9] = 1
    files = {"JPEGImages/a.jpg": SIZE, "class_names.txt": "_background_\ncell\n"}
    for kind in ("SegmentationClass", "SegmentationObject"):
        files[f"{kind}Visualization/a.jpg"] = SIZE
        palette_image(tmp_path / "in" / kind / "a.png", values)
        (tmp_path / "in" / f"{kind}Npy").mkdir()
        np.save(tmp_path / "in" / f"{kind}Npy/a.npy", values)
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    names = [c["name"] for c in data[""].label_attributes("segmentation_class")["categories"]]
    assert names == ["cell", "void"]
    assert (labels(data, "", "segmentation_object") == values).all()


def test_what_older_versions_of_labelme2voc_write(tmp_path: Path) -> None:
    values = np.zeros(SIZE)
    values[2:5, 3:9] = 1
    files = {"JPEGImages/a.jpg": SIZE, "class_names.txt": "_background_\ncell\n"}
    for kind in ("SegmentationClass", "SegmentationObject"):
        files[f"{kind}Visualization/a.jpg"] = SIZE
        palette_image(tmp_path / "in" / f"{kind}PNG" / "a.png", values)
        (tmp_path / "in" / kind).mkdir()
        np.save(tmp_path / "in" / kind / "a.npy", values)
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    for layer in ("segmentation_class", "segmentation_object"):
        assert (labels(data, "", layer) == values).all()
