"""VGG Image Annotator: project, JSON and CSV, of versions 1 to 3."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import converted, covers, labels, rows, write_files
from annotated import exported as exported_files
from shapely import Point, Polygon
from shapely.affinity import rotate, scale

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (40, 60)

SHAPES: list[dict[str, Any]] = [
    {"name": "rect", "x": 2, "y": 3, "width": 10, "height": 5},
    {"name": "circle", "cx": 20, "cy": 10, "r": 6.5},
    {"name": "ellipse", "cx": 40, "cy": 12, "rx": 10, "ry": 4, "theta": 0.5},
    {"name": "polygon", "all_points_x": [5, 15, 10], "all_points_y": [20, 20, 35]},
    {"name": "polyline", "all_points_x": [1, 2, 3], "all_points_y": [1, 2, 3]},
    {"name": "point", "cx": 50, "cy": 30},
]


def regions(*shapes: dict[str, Any], label: str = "cell") -> list[dict[str, Any]]:
    return [{"shape_attributes": s, "region_attributes": {"type": label}} for s in shapes]


def entry(found: Any, name: str = "a.png") -> dict[str, Any]:
    return {"filename": name, "size": 123, "regions": found, "file_attributes": {"stain": "HE"}}


def exported(kind: str, shapes: list[dict[str, Any]]) -> tuple[str, str]:
    """A file of VIA: its name and text."""
    found = regions(*shapes)
    if kind == "project":
        settings = {"ui": {}, "core": {"default_filepath": ""}, "project": {"name": "p"}}
        options = {"cell": "", "nucleus": ""}
        attributes = {"type": {"type": "dropdown", "options": options}}
        content = {
            "_via_settings": settings,
            "_via_img_metadata": {"a.png123": entry(found)},
            "_via_attributes": {"region": attributes, "file": {}},
            "_via_data_format_version": "2.0.10",
            "_via_image_id_list": ["a.png123"],
        }
        return "via_project.json", json.dumps(content)
    if kind == "json-1":
        about = entry({str(i): r for i, r in enumerate(found)})
        return "via_region_data.json", json.dumps({"a.png123": {"fileref": "", **about}})
    if kind == "json-2":
        return "via_region_data.json", json.dumps({"a.png123": entry(found)})

    def quoted(value: Any) -> str:
        return '"' + json.dumps(value).replace('"', '""') + '"'

    mark = "#" if kind == "csv-1" else ""
    lines = [
        f"{mark}filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        "region_attributes"
    ]
    for i, one in enumerate(found):
        shape, attributes = quoted(one["shape_attributes"]), quoted(one["region_attributes"])
        lines.append(f"a.png,123,{quoted({'stain': 'HE'})},{len(found)},{i},{shape},{attributes}")
    lines.append(f"b.png,7,{quoted({})},0,0,{quoted({})},{quoted({})}")
    return "via_region_data.csv", "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", ["project", "json-1", "json-2", "csv-1", "csv-2"])
def test_every_shape_of_every_file(kind: str, tmp_path: Path) -> None:
    name, text = exported(kind, SHAPES)
    source = write_files(tmp_path / "in", {name: text, "a.png": SIZE, "b.png": SIZE})
    check_source("via", source)
    data = converted(source, tmp_path / "out.zarr")
    layer = "objects" if kind == "project" else "cell"
    table = rows(data, "a", layer)
    assert [r["category"] for r in table] == ["cell"] * 6
    assert [json.loads(r["record"]) for r in table] == regions(*SHAPES)
    drawn = labels(data, "a", layer)
    expected = np.zeros(SIZE, bool)
    expected[3:8, 2:12] = True
    assert ((drawn == 1) == expected).all()
    assert covers(drawn == 2, Point(20, 10).buffer(6.5, 64))
    turned = rotate(scale(Point(40, 12).buffer(1, 64), 10, 4), math.degrees(0.5))
    assert covers(drawn == 3, turned)
    assert covers(drawn == 4, Polygon([(5, 20), (15, 20), (10, 35)]))
    assert set(np.unique(drawn)) == {0, 1, 2, 3, 4}
    if kind == "project":
        categories = data["a"].label_attributes(layer)["categories"]
        assert [c["name"] for c in categories] == ["cell", "nucleus"]


def test_the_class_is_the_only_attribute_or_one_that_is_named_so(tmp_path: Path) -> None:
    found = [
        {"shape_attributes": SHAPES[0], "region_attributes": {"class": "x", "stage": "M"}},
        {"shape_attributes": SHAPES[1], "region_attributes": {"class": {"a": True, "b": False}}},
    ]
    text = json.dumps({"a.png123": entry(found)})
    source = write_files(tmp_path / "in", {"v.json": text, "a.png": SIZE})
    data = converted(source, tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data)] == ["x", "a"]
    out = tmp_path / "stage.zarr"
    ngff_bio.convert(source, out, options={"class_attribute": "stage"})
    assert [r["category"] for r in rows(ngff_bio.open(out), layer="m")] == ["M", None]


@pytest.mark.parametrize(
    ("shape", "record", "found"),
    [
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "", "2 points"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, ".all_points_x",
         "[[1, 2, 3], [1, 2]]"),
        ({"name": "rect", "x": 1, "y": None, "width": 2, "height": 2}, ".y", "null"),
        ({"name": "circle", "cx": 1, "cy": 2}, ".r", "no such value"),
        ({"name": "circle", "cx": 1, "cy": 2, "r": -3}, "", "-3.0"),
        ({"name": "star"}, ".name", '"star"'),
    ],
)  # fmt: skip
def test_a_wrong_region_is_an_error_or_is_skipped(
    shape: dict[str, Any], record: str, found: str, tmp_path: Path
) -> None:
    name, text = exported("json-2", [SHAPES[0], shape])
    source = write_files(tmp_path / "in", {name: text, "a.png": SIZE})
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    told = error.value
    assert (told.file, told.record, told.found) == (name, f"a.png regions[1]{record}", found)
    assert told.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.instances, len(done.skipped)) == (1, 1)


def test_an_entry_without_its_image_is_an_error(tmp_path: Path) -> None:
    name, text = exported("json-2", SHAPES[:1])
    source = write_files(tmp_path / "in", {name: text, "b.png": SIZE})
    with pytest.raises(SourceError, match="without their image") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert error.value.record == "a.png"


@pytest.mark.parametrize("kind", ["project", "json-1", "json-2", "csv-1", "csv-2"])
def test_the_export_equals_the_source(kind: str, tmp_path: Path) -> None:
    name, text = exported(kind, SHAPES)
    source = write_files(tmp_path / "in", {name: text, "a.png": SIZE, "b.png": SIZE})
    files = exported_files(source, tmp_path, "via")
    assert list(files) == [name]
    if name.endswith(".json"):
        assert json.loads(files[name]) == json.loads(text)
    else:
        lines = [list(csv.reader(t.lstrip("#").splitlines())) for t in (files[name].decode(), text)]
        assert lines[0] == lines[1]


#: Kinds of shapes of version 3 by their numbers (``_VIA_RSHAPE`` of ``_via_metadata.js``).
XY: list[list[float]] = [
    [1, 50, 30],
    [2, 2, 3, 10, 5],
    [3, 20, 10, 6.5],
    [4, 40, 12, 10, 4],
    [5, 1, 1, 9, 9],
    [6, 1, 1, 9, 9, 5, 20],
    [7, 5, 20, 15, 20, 10, 35],
    [8, 30, 25, 36, 22, 40, 27, 33, 35],
    [9, 50, 22, 56, 28, 50, 34],
]


def project(*shapes: list[float], **more: Any) -> dict[str, Any]:
    metadata = {
        f"1_{n}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": "0"}}
        for n, xy in enumerate(shapes)
    }
    region = {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "cell"}}
    return {
        "project": {"pid": "x", "data_format_version": "3.1.1", "vid_list": ["1"]},
        "attribute": {"1": region},
        "file": {"1": {"fid": 1, "fname": "a.png", "type": 2, "loc": 1, "src": ""}},
        "metadata": metadata,
        "view": {"1": {"fid_list": ["1"]}},
        **more,
    }


def test_shapes_of_version_3(tmp_path: Path) -> None:
    text = json.dumps(project(*XY))
    source = write_files(tmp_path / "in", {"a.png": SIZE, "via_project.json": text})
    check_source("via", source)
    data = converted(source, tmp_path / "out.zarr")
    found = rows(data)
    assert [r["source_id"] for r in found] == [f"1_{n}" for n in range(len(XY))]
    assert {r["category"] for r in found} == {"cell"}
    (layer,) = data[""].layers
    drawn = labels(data, layer=layer)
    expected = {
        3: Point(20, 10).buffer(6.5, 64),
        4: scale(Point(40, 12).buffer(1, 64), 10, 4),
        7: Polygon([(5, 20), (15, 20), (10, 35)]),
        9: Point(50, 28).buffer(6, 64),
    }
    assert all(covers(drawn == value, shape) for value, shape in expected.items())
    assert (drawn[3:8, 2:12] == 2).all()
    assert (drawn[22:35, 30:40] == 8).all()
    assert {*np.unique(drawn).tolist()} == {0, 2, 3, 4, 7, 8, 9}


def test_several_ticked_options_are_no_class(tmp_path: Path) -> None:
    content = project(XY[1], XY[2])
    content["attribute"]["1"] |= {"type": 2, "options": {"1": "cell", "2": "dead"}}
    content["metadata"]["1_0"]["av"] = {"1": "1,2"}
    content["metadata"]["1_1"]["av"] = {"1": "2"}
    ticked = {"class": {"cell": True, "dead": True}}
    second = [{"shape_attributes": SHAPES[0], "region_attributes": ticked}]
    for text in (content, {"a.png123": entry(second)}):
        files = {"a.png": SIZE, "via_project.json": json.dumps(text)}
        source = write_files(tmp_path / "in", files)
        report = ngff_bio.convert(source, tmp_path / "out.zarr", overwrite=True)
        assert [n.what for n in report.notices if "several ticked options" in n.what]
        found = rows(ngff_bio.open(tmp_path / "out.zarr"))
        assert [r["category"] for r in found] == [None, "dead"][: len(found)]
    assert json.loads(found[0]["record"])["region_attributes"] == ticked


@pytest.mark.parametrize(
    ("wrong", "record"),
    [
        (project(XY[1], [7, 1, 1, 2, 2]), "metadata.1_1.xy"),
        (project(XY[1], [2, 1, 1, 5]), "metadata.1_1.xy"),
        (project(XY[1], [3, 1, 1, -5]), "metadata.1_1.xy"),
        (project(XY[1], [12, 1, 1]), "metadata.1_1.xy"),
        (project(XY[1], [3, 5, 5, 1e300]), "metadata.1_1.xy"),
        (project(XY[1], [4, 5, 5, 2, 1e300]), "metadata.1_1.xy"),
        (project(XY[1], [9, 0, 0, 1e5, 1e-9, 2e5, 0]), "metadata.1_1.xy"),
        (project(XY[1], view={"1": {"fid_list": ["1"]}, "2": {"fid_list": ["9"]}}), "view.2"),
        (project(XY[1], view={"1": {"fid_list": ["1"]}, "2": {"fid_list": ["1", "1"]}}), "view.2"),
    ],
)
def test_what_is_wrong_in_version_3(wrong: dict[str, Any], record: str, tmp_path: Path) -> None:
    files = {"a.png": SIZE, "via_project.json": json.dumps(wrong)}
    source = write_files(tmp_path / "in", files)
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.file, error.value.record) == ("via_project.json", record)
    assert ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip").instances == 1
