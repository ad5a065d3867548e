"""Lists of boxes, Datumaro, Aperio and ASAP, napari: rows and pixels are those that the files state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from annotated import converted, labels, rows, write_files
from skimage.draw import polygon2mask

import ngff_bio
from ngff_bio.errors import NgffBioError
from ngff_bio.testing import check_source

SIZE = (40, 60)
RETINANET = "a.png,2,3,12,9,cell\nb.png,,,,,\na.png,20,10,30,35,nucleus\n"
TENSORFLOW = (
    "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    "a.png,60,40,cell,2,3,12,9\na.png,60,40,nucleus,20,10,30,35\n"
)
MAKESENSE = "cell,2,3,10,6,a.png,60,40\nnucleus,20,10,10,25,a.png,60,40\n"
WHEAT = (
    'image_id,width,height,bbox,label\na,60,40,"[2, 3, 10, 6]",cell\n'
    'a,60,40,"[20.0, 10.0, 10.0, 25.0]",nucleus\n'
)
CREATEML = json.dumps(
    [
        {
            "image": "a.png",
            "annotations": [
                {"label": "cell", "coordinates": {"x": 7, "y": 6, "width": 10, "height": 6}},
                {
                    "label": "nucleus",
                    "coordinates": {"x": 25, "y": 22.5, "width": 10, "height": 25},
                },
            ],
        },
        {"image": "b.png", "annotations": []},
    ]
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("annotations.csv", RETINANET),
        ("_annotations.csv", TENSORFLOW),
        ("labels_my-project.csv", MAKESENSE),
        ("train.csv", WHEAT),
        ("_annotations.createml.json", CREATEML),
    ],
)
def test_lists_of_boxes(name: str, text: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.png": SIZE, "b.png": SIZE, name: text})
    data = converted(source, tmp_path / "out.zarr")
    assert data.attributes["source"] == "box-table"
    expected = np.zeros(SIZE, int)
    expected[3:9, 2:12], expected[10:35, 20:30] = 1, 2
    assert (labels(data, "a") == expected).all()
    found = rows(data, "a")
    assert [r["category"] for r in found] == ["cell", "nucleus"]
    boxes = [[r[k] for k in ("box_x", "box_y", "box_width", "box_height")] for r in found]
    assert boxes == [[2, 3, 10, 6], [20, 10, 10, 25]]
    assert not data["b"].layers
    if text is CREATEML:
        check_source("box-table", source)


@pytest.mark.parametrize("wrong", [{"label": "cell"}, {"label": "cell", "coordinates": {}}, 7])
def test_a_box_of_createml_without_coordinates_is_one_error_or_is_skipped(
    wrong: object, tmp_path: Path
) -> None:
    listed = json.loads(CREATEML)
    listed[0]["annotations"].append(wrong)
    files = {"a.png": SIZE, "b.png": SIZE, "_annotations.createml.json": json.dumps(listed)}
    source = write_files(tmp_path / "in", files)
    with pytest.raises(NgffBioError, match="a row of a list of boxes is wrong") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.record == "box 3"
    report = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (report.annotations, len(report.skipped)) == (2, 1)


def test_two_entries_of_an_image_of_createml_are_one_or_an_error(tmp_path: Path) -> None:
    first, second = json.loads(CREATEML)[0], json.loads(CREATEML)[0]
    first["annotations"], second["annotations"] = (
        first["annotations"][:1],
        second["annotations"][1:],
    )
    files = {"a.png": SIZE, "_annotations.createml.json": json.dumps([first, second])}
    source = write_files(tmp_path / "in", files)
    data = converted(source, tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data)] == ["cell", "nucleus"]
    files["_annotations.createml.json"] = json.dumps([first, {**second, "stain": "HE"}])
    with pytest.raises(NgffBioError, match="differ in their boxes only") as error:
        ngff_bio.convert(write_files(source, files), tmp_path / "out.zarr", overwrite=True)
    assert error.value.record == "[1]"


@pytest.mark.parametrize(
    "row",
    ["a.png,60,40,cell,12,3,2,9", "a.png,60,40,cell,2,x,12,9", "c.png,60,40,cell,2,3,12,9",
     "a.png,60,41,cell,2,3,12,9", "a.png,60,40,cell,2,,12,9", ",60,40,cell,2,3,12,9",
     "a.png,60,40,cell, dark,2,3,12,9", "a.png,60,40,cell,2,3,12,9,dark"],
)  # fmt: skip
def test_a_wrong_row_is_one_error_or_is_skipped(row: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.png": SIZE, "t.csv": f"{TENSORFLOW}{row}\n"})
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "t.csv"
    assert "--on-error skip" in str(error.value.hint) or "belong" in str(error.value.hint)
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert any(n.kind == "skipped" for n in done.notices)


def datumaro(*annotations: dict[str, Any]) -> str:
    item = {
        "id": "sub/a", "annotations": list(annotations), "attr": {"frame": 0},
        "image": {"path": "sub/a.png", "size": list(SIZE)},
    }  # fmt: skip
    listed = [{"name": n, "parent": "", "attributes": []} for n in ("cell", "nucleus")]
    return json.dumps(
        {
            "dm_format_version": "1.0",
            "infos": {},
            "categories": {"label": {"labels": listed}, "points": {"items": []}},
            "items": [item],
        }
    )


MASK = np.zeros(SIZE, np.uint8)
MASK[30:36, 40:50] = 1
RLE = coco_mask.encode(np.asfortranarray(MASK))
POLYGON = {"id": 2, "type": "polygon", "label_id": 1, "points": [20, 10, 30, 10, 30, 20, 20, 20]}


def test_datumaro(tmp_path: Path) -> None:
    text = datumaro(
        {"id": 1, "type": "bbox", "label_id": 0, "bbox": [2.0, 3.0, 10.0, 6.0], "group": 4},
        POLYGON,
        {"id": 3, "type": "mask", "label_id": 0,
         "rle": {"counts": RLE["counts"].decode(), "size": list(SIZE)}},
        {"id": 4, "type": "label", "label_id": 1},
        {"id": 5, "type": "points", "label_id": 0, "points": [5, 5], "visibility": [2]},
        # A rotated box of CVAT.
        {"id": 6, "type": "bbox", "label_id": 0, "bbox": [5.0, 24.0, 10.0, 4.0],
         "attributes": {"occluded": False, "rotation": 90.0}},
    )  # fmt: skip
    files = {"annotations/train.json": text, "images/train/sub/a.png": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert data.attributes["source"] == "datumaro"
    check_source("datumaro", tmp_path / "in")
    found = rows(data)
    assert [r["category"] for r in found] == ["cell", "nucleus", "cell", "cell", "cell"]
    assert [r["source_id"] for r in found] == ["1", "2", "3", "5", "6"]
    assert json.loads(found[0]["record"])["group"] == 4
    pixels = labels(data)
    assert (pixels == 1)[3:9, 2:12].all()
    assert (pixels == 1).sum() == 60
    assert (pixels == 2)[10:20, 20:30].all()
    assert ((pixels == 3) == MASK).all()
    assert (pixels == 5)[21:31, 8:12].all()
    assert (pixels == 5).sum() == 40
    (frame,) = data[""].attributes["frames"]
    assert frame["splits"] == ["train"]
    assert frame["record"]["annotations"][0]["record"]["annotations"][0]["id"] == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"label_id": 2},
        {"points": [1, 2, 3, 4]},
        {"type": "other"},
        {"type": "mask", "rle": {"counts": [5], "size": [40, 60]}},
        {"type": "bbox"},
    ],
)
def test_a_wrong_annotation_of_datumaro_is_one_error_or_is_skipped(
    wrong: dict[str, Any], tmp_path: Path
) -> None:
    text = datumaro({**POLYGON, **wrong}, POLYGON)
    source = write_files(tmp_path / "in", {"train.json": text, "sub/a.png": SIZE})
    with pytest.raises(NgffBioError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.file == "train.json"
    assert error.value.hint
    ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")


APERIO = """<?xml version="1.0"?>
<Annotations MicronsPerPixel="0.252000"><Annotation Id="1" Name="" Type="4" LineColor="65280">
<Attributes><Attribute Name="{}" Id="0" Value=""/></Attributes><Regions>
<RegionAttributeHeaders><AttributeHeader Id="9" Name="Region"/></RegionAttributeHeaders>
<Region Id="1" Type="0" NegativeROA="0"><Vertices>
<Vertex X="3.2" Y="4.1" Z="0"/><Vertex X="20.7" Y="6.3" Z="0"/><Vertex X="12.4" Y="30.6" Z="0"/>
</Vertices></Region><Region Id="2" Type="2" NegativeROA="0"><Vertices><Vertex X="30" Y="10"/>
<Vertex X="50" Y="30"/></Vertices></Region><Region Id="3" Type="0" NegativeROA="1"><Vertices>
<Vertex X="5" Y="6"/>
<Vertex X="9" Y="6"/><Vertex X="9" Y="9"/></Vertices></Region><Region Id="4" Type="4"><Vertices>
<Vertex X="5" Y="6"/><Vertex X="9" Y="6"/></Vertices></Region></Regions></Annotation></Annotations>"""

ASAP = """<?xml version="1.0"?>
<ASAP_Annotations><Annotations><Annotation Name="one" Type="Polygon" PartOfGroup="Tumor">
<Coordinates><Coordinate Order="0" X="3.2" Y="4.1"/><Coordinate Order="1" X="20.7" Y="6.3"/>
<Coordinate Order="2" X="12.4" Y="30.6"/></Coordinates></Annotation>
<Annotation Name="two" Type="Dot" PartOfGroup="None" Color="#F4FA58"><Coordinates>
<Coordinate Order="0" X="3" Y="4"/></Coordinates></Annotation></Annotations>
<AnnotationGroups><Group Name="Tumor" PartOfGroup="None" Color="#64FE2E"><Attributes/></Group>
</AnnotationGroups></ASAP_Annotations>"""
TRIANGLE = polygon2mask(SIZE, np.array([[4.1, 3.2], [6.3, 20.7], [30.6, 12.4]]) - 0.5)


def test_regions_of_aperio(tmp_path: Path) -> None:
    files = {"Annotations/a-01Z-00-DX1.xml": APERIO.format("Epithelial"),
             "Tissue Images/a-01Z-00-DX1.tif": SIZE, "Tissue Images/b.tif": SIZE}  # fmt: skip
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    check_source("slide-xml", tmp_path / "in")
    path = next(p for p in data if data[p].layers)
    layer = next(iter(data[path].layers))
    found = rows(data, path, layer)
    assert [(r["source_id"], r["category"]) for r in found] == [
        (n, "Epithelial") for n in ("1", "2", "3", "4")
    ]
    pixels = labels(data, path, layer)
    assert ((pixels == 1) == TRIANGLE).all()
    assert abs((pixels == 2).sum() - np.pi * 100) < 8
    assert not (pixels > 2).any()


def test_regions_of_asap(tmp_path: Path) -> None:
    files = {"tumor_001.xml": ASAP, "tumor_001.tif": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert [(r["source_id"], r["category"]) for r in rows(data)] == [
        ("one", "Tumor"),
        ("two", None),
    ]
    (category,) = data[""].label_attributes("tumor")["categories"]
    assert (category["name"], category["color"][:3]) == ("Tumor", [0x64, 0xFE, 0x2E])
    assert ((labels(data, "", "tumor") == 1) == TRIANGLE).all()


def test_a_description_is_not_a_class(tmp_path: Path) -> None:
    files = {"a.xml": APERIO.format("Description"), "a.tif": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert {r["category"] for r in rows(data)} == {None}


def test_a_wrong_region_is_one_error_or_is_skipped(tmp_path: Path) -> None:
    text = APERIO.replace('X="3.2"', 'X="x"')
    source = write_files(tmp_path / "in", {"a.xml": text, "a.tif": SIZE})
    with pytest.raises(NgffBioError, match="not a number") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.file, error.value.record) == ("a.xml", "Annotation[0].Region[0].X")
    assert ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip").instances == 3


def test_shapes_of_napari(tmp_path: Path) -> None:
    text = (
        "index,shape-type,vertex-index,axis-0,axis-1\n"
        "0.0,polygon,0.0,3.6,2.7\n0.0,polygon,1.0,5.8,20.2\n0.0,polygon,2.0,30.1,11.9\n"
        "1.0,ellipse,0.0,9.5,29.5\n1.0,ellipse,1.0,9.5,49.5\n1.0,ellipse,2.0,29.5,49.5\n"
        "1.0,ellipse,3.0,29.5,29.5\n2.0,path,0.0,1,1\n2.0,path,1.0,2,2\n"
    )
    files = {"Shapes.csv": text, "a.png": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    check_source("napari-shapes", tmp_path / "in")
    assert [json.loads(r["record"])["shape-type"] for r in rows(data)] == [
        "polygon", "ellipse", "path"
    ]  # fmt: skip
    pixels = labels(data)
    # polygon2mask counts as napari does: the center of the first pixel is 0, 0
    wanted = polygon2mask(SIZE, np.array([[3.6, 2.7], [5.8, 20.2], [30.1, 11.9]]))
    assert ((pixels == 1) == wanted).all()
    assert abs((pixels == 2).sum() - np.pi * 100) < 8
