"""What is wrong in a file is one error that names it; with ``on_error="skip"`` the rest is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import write_files
from PIL import Image

import ngff_bio
from ngff_bio.errors import SourceError

SIZE = (40, 60)
IMAGES = {"a.png": SIZE, "b.png": SIZE}
SQUARE = [[3, 3], [12, 3], [12, 9], [3, 9]]


def yolo(*lines: str, **more: Any) -> dict[str, Any]:
    files = {"data.yaml": "train: images\nval: images\nnames: [cell]\n", "images/a.png": SIZE}
    return {**files, "labels/a.txt": "\n".join(lines) + "\n", **more}


def voc(objects: str, name: str = "a.png", width: int = 60, **more: Any) -> dict[str, Any]:
    text = (
        f"<annotation><filename>{name}</filename><size><width>{width}</width><height>40</height></size>"
        f"{objects}</annotation>"
    )
    return {"JPEGImages/a.png": SIZE, "Annotations/a.xml": text, **more}


BOX = (
    "<object><name>cell</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>12</ymax>"
    "</bndbox></object>"
)


def cvat(shapes: str, name: str = "a.png", width: int = 60) -> dict[str, Any]:
    text = (
        "<annotations><version>1.1</version><meta><task><labels><label><name>cell</name></label>"
        f'</labels></task></meta><image id="0" name="{name}" width="{width}" height="40">{shapes}'
        "</image></annotations>"
    )
    return {"annotations.xml": text, "images/a.png": SIZE}


CVAT_BOX = '<box label="cell" xtl="2" ytl="3" xbr="12" ybr="9"/>'


def coco(segmentation: Any, **more: Any) -> dict[str, Any]:
    good = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 3, 9, 6], "area": 54, "iscrowd": 0,
            "segmentation": [[v for p in SQUARE for v in p]]}  # fmt: skip
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [good, {**good, "id": 2, "segmentation": segmentation, **more}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    return {"a.png": SIZE, "instances.json": json.dumps(content)}


def labelme(points: list[list[float]], image: str = "a.png", width: int = 60) -> dict[str, Any]:
    shapes = [
        {"label": "cell", "points": p, "shape_type": "polygon", "flags": {}, "group_id": None}
        for p in (SQUARE, points)
    ]
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": image,
               "imageData": None, "imageHeight": 40, "imageWidth": width}  # fmt: skip
    return {"a.png": SIZE, "a.json": json.dumps(content)}


def datumaro(annotation: dict[str, Any], **more: Any) -> dict[str, Any]:
    good = {"id": 1, "type": "bbox", "label_id": 0, "bbox": [2, 3, 10, 6]}
    item = {"id": "a", "annotations": [good, annotation], **more}
    content = {"categories": {"label": {"labels": [{"name": "cell"}]}}, "items": [item]}
    return {"annotations/train.json": json.dumps(content), "images/train/a.png": SIZE}


def supervisely(title: str, points: list[list[float]], width: int = 60) -> dict[str, Any]:
    objects = [
        {"classTitle": t, "geometryType": "polygon", "points": {"exterior": p, "interior": []}}
        for t, p in (("cell", SQUARE), (title, points))
    ]
    ann = {"tags": [], "size": {"height": 40, "width": width}, "objects": objects}
    meta = {"classes": [{"title": "cell", "color": "#FF0000"}], "tags": []}
    return {"meta.json": json.dumps(meta), "d/img/a.png": SIZE, "d/ann/a.png.json": json.dumps(ann)}


def geojson(points: list[list[float]]) -> dict[str, Any]:
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[*p, p[0]]]},
         "properties": {"objectType": "annotation"}}
        for p in (SQUARE, points)
    ]  # fmt: skip
    return {"a.png": SIZE, "a.geojson": json.dumps(features)}


def slide(points: list[list[float]], name: str = "a") -> dict[str, Any]:
    regions = "".join(
        f'<Region Id="{n}" Type="0"><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in p)
        + "</Vertices></Region>"
        for n, p in enumerate((SQUARE, points))
    )
    text = f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>"
    return {"a.png": SIZE, f"{name}.xml": text} | ({} if name == "a" else {"b.png": SIZE})


def napari(rows: str) -> dict[str, Any]:
    good = "".join(f"0,polygon,{n},{y},{x}\n" for n, (x, y) in enumerate(SQUARE))
    return {"a.png": SIZE, "a.csv": f"index,shape-type,vertex-index,axis-0,axis-1\n{good}{rows}"}


TWO = [[1, 1], [5, 5]]
GOOD = "0 0.5 0.5 0.25 0.25"

#: Name, files, file and start of the record of the error, objects that remain.
#: A record of COCO or of Datumaro that cannot be drawn keeps its row.
WRONG: list[tuple[str, Mapping[str, Any], str, str, int]] = [
    ("yolo: class", yolo(GOOD, "3 0.5 0.5 0.2 0.2"), "labels/a.txt", "line 2", 1),
    ("yolo: outside", yolo(GOOD, "0 1.5 0.5 0.2 0.2"), "labels/a.txt", "line 2", 1),
    (
        "yolo: two points",
        yolo("0 0.1 0.1 0.5 0.1 0.5 0.5", "0 0.1 0.1 0.5"),
        "labels/a.txt",
        "line 2",
        1,
    ),
    ("yolo: no image", yolo(GOOD, **{"labels/z.txt": GOOD}), "labels/z.txt", "", 1),
    (
        "voc: another image",
        voc(BOX, "z.png", **{"JPEGImages/z.png": SIZE}),
        "Annotations/a.xml",
        "",
        0,
    ),
    ("voc: another size", voc(BOX, width=61), "Annotations/a.xml", "", 0),
    (
        "voc: no box",
        voc(BOX + "<object><name>cell</name></object>"),
        "Annotations/a.xml",
        "object",
        1,
    ),
    (
        "voc: no image",
        voc(BOX, **{"Annotations/z.xml": voc(BOX, "z.png")["Annotations/a.xml"]}),
        "Annotations/z.xml",
        "",
        1,
    ),
    (
        "cvat: two points",
        cvat(CVAT_BOX + '<polygon label="cell" points="1,1;5,5"/>'),
        "annotations.xml",
        "",
        1,
    ),
    (
        "cvat: rle",
        cvat(CVAT_BOX + '<mask label="cell" rle="1, 2, 9" left="5" top="3" width="3" height="2"/>'),
        "annotations.xml",
        "",
        1,
    ),
    (
        "cvat: class",
        cvat(CVAT_BOX + '<box label="x" xtl="2" ytl="3" xbr="12" ybr="9"/>'),
        "annotations.xml",
        "",
        1,
    ),
    ("cvat: another size", cvat(CVAT_BOX, width=61), "annotations.xml", "a.png", 0),
    ("cvat: no image", cvat(CVAT_BOX, "z.png"), "annotations.xml", "z.png", 0),
    ("coco: two points", coco([[1, 1, 5, 5]]), "instances.json", "annotations[1]", 2),
    (
        "coco: rle",
        coco({"size": [40, 60], "counts": [5, 9, 9000]}),
        "instances.json",
        "annotations[1]",
        2,
    ),
    (
        "coco: rle of another size",
        coco({"size": [4, 6], "counts": [5, 9, 10]}),
        "instances.json",
        "annotations[1]",
        2,
    ),
    ("coco: no image", coco([], image_id=9), "instances.json", "annotations[1]", 1),
    ("labelme: two points", labelme(TWO), "a.json", "shapes[1]", 1),
    ("labelme: another size", labelme(SQUARE, width=61), "a.json", "", 0),
    (
        "datumaro: class",
        datumaro({"type": "bbox", "label_id": 4, "bbox": [2, 3, 10, 6]}),
        "annotations/train.json",
        "items[0].annotations[1]",
        1,
    ),
    (
        "datumaro: two points",
        datumaro({"type": "polygon", "label_id": 0, "points": [1, 1, 5, 5]}),
        "annotations/train.json",
        "items[0].annotations[1]",
        1,
    ),
    (
        "datumaro: rle",
        datumaro({"type": "mask", "label_id": 0, "rle": {"size": [40, 60], "counts": [5, 9]}}),
        "annotations/train.json",
        "annotations[1]",
        2,
    ),
    (
        "datumaro: another size",
        datumaro({"type": "caption"}, image={"path": "a.png", "size": [40, 61]}),
        "annotations/train.json",
        "a.png",
        0,
    ),
    ("supervisely: class", supervisely("x", SQUARE), "d/ann/a.png.json", "objects[1]", 1),
    ("supervisely: two points", supervisely("cell", TWO), "d/ann/a.png.json", "objects[1]", 1),
    ("supervisely: another size", supervisely("cell", SQUARE, 61), "d/ann/a.png.json", "", 0),
    ("geojson: two points", geojson(TWO), "a.geojson", "", 1),
    ("slide-xml: two points", slide(TWO), "a.xml", "Annotation[0].Region[1]", 1),
    ("slide-xml: no image", slide(SQUARE, "z"), "z.xml", "", 0),
    ("napari: two points", napari("1,polygon,0,1,1\n1,polygon,1,5,5\n"), "a.csv", "index 1", 1),
    ("napari: a word", napari("1,polygon,0,1,x\n"), "a.csv", "", 1),
]


@pytest.mark.parametrize(
    ("files", "file", "record", "kept"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_what_is_wrong_is_one_error_or_is_skipped(
    files: Mapping[str, Any], file: str, record: str, kept: int, tmp_path: Path
) -> None:
    source = write_files(tmp_path / "in", files)
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    found = error.value
    assert found.file == file
    assert (found.record or "").startswith(record), found.record
    assert None not in (found.expected, found.found, found.hint), str(found)
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert done.instances == kept
    assert any(n.kind == "skipped" and n.file == file for n in done.notices)


def test_colors_of_no_palette(tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", voc(BOX))
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[3:5, 3:5], pixels[9, 9] = (128, 0, 0), (1, 2, 3)
    (source / "SegmentationClass").mkdir()
    Image.fromarray(pixels).save(source / "SegmentationClass/a.png")
    with pytest.raises(SourceError, match="no class") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.file, error.value.found) == (
        "SegmentationClass/a.png",
        "(1, 2, 3): 1 pixels",
    )
