"""Label Studio: JSON and JSON-MIN as its documentation and its converter have them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import converted, covers, exported, labels, rows, write_files
from numpy.typing import NDArray
from shapely import Point, Polygon
from shapely import box as shapely_box
from shapely.affinity import rotate, scale

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (40, 80)


def bits_of(mask: NDArray[np.bool_]) -> list[int]:
    """A brush region in the run lengths of Label Studio, each value by itself."""
    values = np.repeat((mask.ravel() * 255).astype(int)[:, None], 4, axis=1).ravel()
    text = f"{len(values):032b}" + f"{8 - 1:05b}" + "".join(f"{n - 1:04b}" for n in (3, 8, 16, 16))
    i = 0
    while i < len(values):
        stop = i + 1
        while stop < len(values) and values[stop] == values[i] and stop - i < 250:
            stop += 1
        if stop - i > 3:
            text += "1" + "01" + f"{stop - i - 1:08b}" + f"{values[i]:08b}"
        else:
            text += "0" + "00" + f"{stop - i - 1:03b}" + "".join(f"{v:08b}" for v in values[i:stop])
        i = stop
    text += "0" * (-len(text) % 8)
    return [int(text[k : k + 8], 2) for k in range(0, len(text), 8)]


def region(kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = {f"{kind}labels": ["cell"]}
    return {
        "original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0,
        "value": value | names, "id": more.pop("id", kind), "from_name": "label", "to_name": "image",
        "type": f"{kind}labels", "origin": "manual", **more,
    }  # fmt: skip


MASK = np.zeros(SIZE, bool)
MASK[30:38, 60:70] = True
MASK[33, 63] = False

RESULTS = [
    region("rectangle", {"x": 5, "y": 10, "width": 25, "height": 25, "rotation": 0}),
    region("rectangle", {"x": 50, "y": 25, "width": 12.5, "height": 20, "rotation": 30}, id="r2"),
    region(
        "polygon",
        {"points": [[10, 60], [30, 60], [20, 90]], "closed": True},
        image_rotation=90,
    ),
    region("ellipse", {"x": 50, "y": 75, "radiusX": 10, "radiusY": 10, "rotation": 20}),
    region("brush", {"format": "rle", "rle": bits_of(MASK)}),
    region("keypoint", {"x": 1, "y": 2, "width": 0.5}),
]
OTHERS = [
    {
        "value": {"choices": ["good"]},
        "id": "c",
        "from_name": "q",
        "to_name": "image",
        "type": "choices",
    },
    {"from_id": "rectangle", "to_id": "r2", "type": "relation", "direction": "right"},
]


def task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 1, "annotations": [{"id": 5, "completed_by": 1, "result": list(results),
                                  "was_cancelled": False, "lead_time": 1.5}],
        "file_upload": "0a1b2c3d-a.png", "predictions": [],
        "data": {"image": "/data/upload/1/0a1b2c3d-a.png"}, "meta": {}, "project": 1, **more,
    }  # fmt: skip


def folder(place: Path, tasks: Any) -> Path:
    return write_files(place, {"export.json": json.dumps(tasks), "images/a.png": SIZE})


def test_every_kind_of_region(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", [task(*RESULTS, *OTHERS)])
    check_source("label-studio", source)
    data = converted(source, tmp_path / "out.zarr")
    table = rows(data, layer="cell")
    assert [r["source_id"] for r in table] == [r["id"] for r in RESULTS]
    kept = [json.loads(r["record"])["results"] for r in table]
    assert kept == [[["annotations", i, r]] for i, r in enumerate(RESULTS)]
    drawn = labels(data, layer="cell")
    assert covers(drawn == 1, shapely_box(4, 4, 24, 14))
    # A rectangle turns clockwise around its upper left corner.
    assert covers(drawn == 2, rotate(shapely_box(40, 10, 50, 18), 30, (40, 10)))
    assert covers(drawn == 3, Polygon([(8, 24), (24, 24), (16, 36)]))
    assert covers(drawn == 4, rotate(scale(Point(40, 30).buffer(1, 64), 8, 4), 20))
    assert ((drawn == 5) == MASK).all()
    assert (drawn == 6).sum() == 0
    record = data[""].attributes["frames"][0]["record"]["annotations"][0]["record"]
    assert record["others"] == [["annotations", 6 + i, o] for i, o in enumerate(OTHERS)]
    assert record["task"]["data"] == {"image": "/data/upload/1/0a1b2c3d-a.png"}


def test_geometry_and_label_in_two_results_are_one_region(tmp_path: Path) -> None:
    shape = region("rectangle", {"x": 5, "y": 10, "width": 25, "height": 25, "rotation": 0})
    bare = shape | {
        "type": "rectangle",
        "value": {k: shape["value"][k] for k in ("x", "y", "width", "height")},
    }
    named = shape | {"type": "labels", "value": bare["value"] | {"labels": ["mitosis"]}}
    data = converted(folder(tmp_path / "in", [task(bare, named)]), tmp_path / "out.zarr")
    (row,) = rows(data, layer="mitosis")
    assert json.loads(row["record"])["results"] == [
        ["annotations", 0, bare],
        ["annotations", 1, named],
    ]


def test_annotators_and_predictions_are_layers(tmp_path: Path) -> None:
    one, other = ({"id": n, "result": [RESULTS[n]]} for n in (0, 1))
    predicted = {"id": 9, "model_version": "m", "score": 0.5, "result": [RESULTS[2]]}
    tasks = [task(annotations=[one, other], predictions=[predicted])]
    data = converted(folder(tmp_path / "in", tasks), tmp_path / "out.zarr")
    assert sorted(data[""].layers) == ["cell", "cell-annotation-1", "cell-predictions"]


@pytest.mark.parametrize(
    "url",
    ["/data/local-files/?d=set/a.png", "s3://bucket/set/a.png", "https://x.org/a.png?sig=1", "a.png"],
)  # fmt: skip
def test_json_min_and_urls_of_images(url: str, tmp_path: Path) -> None:
    regions = [
        RESULTS[i]["value"] | {"original_width": SIZE[1], "original_height": SIZE[0]}
        for i in (0, 2)
    ]
    small = [{"image": url, "id": 3, "label": regions, "annotator": 1, "annotation_id": 4}]
    source = folder(tmp_path / "in", small)
    check_source("label-studio", source)
    data = converted(source, tmp_path / "out.zarr")
    assert [r["category"] for r in rows(data, layer="cell")] == ["cell", "cell"]
    assert covers(labels(data, layer="cell") == 2, Polygon([(8, 24), (24, 24), (16, 36)]))


def changed(number: int, **value: Any) -> dict[str, Any]:
    return RESULTS[number] | {"value": RESULTS[number]["value"] | value}


@pytest.mark.parametrize(
    ("result", "record", "found"),
    [
        (changed(2, points=[[1, 1], [2, 2]]), ".value.points", "2 points"),
        (changed(0, x="left"), ".value.x", '"left"'),
        (changed(4, rle=RESULTS[4]["value"]["rle"][:40]), ".value.rle",
         "the run lengths are truncated"),
        (RESULTS[4] | {"original_width": 81}, ".value.rle",
         "12800 values for 40 x 81 pixels of 4 bytes"),
        (changed(4, rle=[0xFF, 0xFF, 0xFF, 0xFC, 0x38, 0, 0, 0]) | {"original_width": 1 << 15,
                                                                    "original_height": 1 << 15},
         ".value.rle", "4294967292 values for 32768 x 32768 pixels of 4 bytes"),
        (RESULTS[0] | {"image_rotation": 45}, ".image_rotation", "45.0"),
        (RESULTS[0] | {"original_width": 81}, "", "40 x 81"),
        (changed(0, width=-5), ".value.width", "-5.0"),
        (RESULTS[0] | {"value": {"x": 5, "y": 5, "rectanglelabels": ["cell"]}}, ".value.width",
         "no such key"),
    ],
)  # fmt: skip
def test_a_wrong_region_is_an_error_or_is_skipped(
    result: dict[str, Any], record: str, found: str, tmp_path: Path
) -> None:
    source = folder(tmp_path / "in", [task(RESULTS[0], result | {"id": "other"})])
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    told = error.value
    where = f"[0] annotations[1]{record}"
    assert (told.file, told.record, told.found) == ("export.json", where, found)
    assert told.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.instances, len(done.skipped)) == (1, 1)


def test_a_task_of_another_size_or_without_its_image_is_an_error(tmp_path: Path) -> None:
    other = [r | {"original_width": 81} for r in RESULTS[:1]]
    with pytest.raises(SourceError, match="another size"):
        ngff_bio.convert(folder(tmp_path / "a", [task(*other)]), tmp_path / "out.zarr")
    lost = task(*RESULTS[:1], file_upload="0a1b2c3d-b.png")
    with pytest.raises(SourceError, match="without their image"):
        ngff_bio.convert(folder(tmp_path / "b", [lost]), tmp_path / "out.zarr")


def test_the_export_equals_the_source(tmp_path: Path) -> None:
    others = [{"id": n, "result": [RESULTS[n]], "score": 0.5} for n in (2, 3)]
    first = task(*RESULTS, *OTHERS, predictions=others)
    empty = task(id=2, annotations=[], data={"image": "b.png"}, file_upload="b.png")
    source = folder(tmp_path / "in", [first, empty])
    write_files(source, {"images/b.png": SIZE})
    files = exported(source, tmp_path, "label-studio")
    assert json.loads(files["export.json"]) == [first, empty]


def test_the_export_of_json_min_equals_the_source(tmp_path: Path) -> None:
    regions = [
        r["value"] | {"original_width": SIZE[1], "original_height": SIZE[0]} for r in RESULTS[:3]
    ]
    small = [{"image": "a.png", "id": 3, "label": regions, "choice": "good", "annotator": 1}]
    files = exported(folder(tmp_path / "in", small), tmp_path, "label-studio")
    assert json.loads(files["export.json"]) == small


@pytest.mark.parametrize("separator", [",", "\t"])
def test_tables_are_read_as_the_same_regions_in_json(separator: str, tmp_path: Path) -> None:
    given = [
        {**r["value"], "original_width": SIZE[1], "original_height": SIZE[0]} for r in RESULTS[:3]
    ]
    head = ["annotation_id", "annotator", "id", "image", "label"]
    cells = ["1", "1", "1", "/data/upload/1/0123abcd-a.png", json.dumps(given)]
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([head, cells])
    task = {"image": cells[3], "label": given}
    ending = "csv" if separator == "," else "tsv"
    for name, content in (("table", text.getvalue()), ("min", json.dumps([task]))):
        file = f"project.{ending if name == 'table' else 'json'}"
        write_files(tmp_path / name, {"0123abcd-a.png": SIZE, file: content})
    table = converted(tmp_path / "table", tmp_path / "table.zarr")
    plain = converted(tmp_path / "min", tmp_path / "min.zarr")
    assert table.attributes["source"] == "label-studio"
    assert [r["category"] for r in rows(table)] == ["cell"] * 3
    (layer,) = table[""].layers
    assert (labels(table, layer=layer) == labels(plain, layer=layer)).all()
    ngff_bio.export(tmp_path / "table.zarr", tmp_path / "back", to="label-studio")
    (back,) = json.loads((tmp_path / f"back/project.{ending}.json").read_text())
    assert back["label"] == given


def test_vectors_and_empty_lists_come_back(tmp_path: Path) -> None:
    vertices = [
        {"id": str(n), "x": x, "y": y} for n, (x, y) in enumerate([(5, 5), (15, 5), (15, 25)])
    ]
    closed = region("vector", {"vertices": vertices, "closed": True})
    line = region("vector", {"vertices": vertices, "closed": False}, id="open")
    content = [task(closed, line) | {"predictions": []}]
    source = folder(tmp_path / "in", content)
    data = converted(source, tmp_path / "out.zarr")
    assert covers(labels(data, layer="cell") == 1, Polygon([(4, 2), (12, 2), (12, 10)]))
    assert [r["pixels"] > 0 for r in rows(data, layer="cell")] == [True, False]
    ngff_bio.export(tmp_path / "out.zarr", tmp_path / "back", to="label-studio")
    assert json.loads((tmp_path / "back/export.json").read_text()) == content


def test_a_region_of_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    unknown = region("bitmask", {"imageDataURL": "data:image/png;base64,AAAA"})
    source = folder(tmp_path / "in", [task(RESULTS[0], unknown)])
    with pytest.raises(SourceError, match="kind that is not read") as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (error.value.file, error.value.record) == ("export.json", "[0] annotations[1]")
    assert ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip").instances == 1


def test_tasks_of_an_uploaded_list_name_their_images(tmp_path: Path) -> None:
    """``file_upload`` is then the list; the region is on the image of its tag."""
    task = {
        "id": 1, "file_upload": "0a1b2c3d-tasks.json",
        "data": {"other": "b.png", "image": "s3://bucket/a.png"},
        "annotations": [{"id": 1, "result": [RESULTS[0]]}],
    }  # fmt: skip
    files = {"x.json": json.dumps([task]), "a.png": SIZE, "b.png": SIZE}
    data = converted(write_files(tmp_path / "in", files), tmp_path / "out.zarr")
    assert {path: [*data[path].layers] for path in data} == {"a": ["cell"], "b": []}


def test_regions_on_several_images_of_a_task_are_an_error(tmp_path: Path) -> None:
    results = [{**RESULTS[0], "id": name, "to_name": name} for name in ("left", "right")]
    task = {
        "id": 1, "data": {"image1": "a.png", "image2": "b.png"},
        "annotations": [{"id": 1, "result": results}],
    }  # fmt: skip
    files = {"x.json": json.dumps([task]), "a.png": SIZE, "b.png": SIZE}
    source = write_files(tmp_path / "in", files)
    with pytest.raises(SourceError, match="on several images") as caught:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    assert (caught.value.record, caught.value.found) == ("[0].data", "a.png, b.png")
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.images, done.instances) == (2, 0)
