"""Supervisely projects as its documentation describes them."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import converted, exported, labels, rows, write_files
from numpy.typing import NDArray
from PIL import Image

import ngff_bio
from ngff_bio.errors import SourceError
from ngff_bio.testing import check_source

SIZE = (40, 60)
MASK = np.zeros((5, 7), bool)
MASK[1:4, 2:7] = True
MASK[2, 3] = False


def bitmap(mask: NDArray[np.bool_], mode: str) -> str:
    """A mask as Supervisely's SDK writes it (``mask_2_base64``), or as its labeling tool does."""
    out = io.BytesIO()
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8) * 255, "L").convert("P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image = Image.fromarray(mask.astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(out, "PNG", transparency=0, optimize=0)
    else:
        pixels = np.full((*mask.shape, 4), 255, np.uint8)
        pixels[..., 3] = mask * 255
        Image.fromarray(pixels, "RGBA").save(out, "PNG")
    return base64.b64encode(zlib.compress(out.getvalue())).decode()


def thing(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "id": 497489555, "classId": 1661459, "description": "", "geometryType": kind,
        "labelerLogin": "alexxx", "createdAt": "2020-08-22T09:32:48.010Z", "tags": [{"name": "x"}],
        "classTitle": "cell", **more,
    }  # fmt: skip


def points(*exterior: tuple[float, float], interior: Any = ()) -> dict[str, Any]:
    return {"exterior": [list(p) for p in exterior], "interior": list(interior)}


OBJECTS = [
    thing("rectangle", points=points((2, 3), (11, 7))),
    thing("polygon", points=points((20, 2), (40, 2), (40, 22), (20, 22),
                                   interior=[[[25, 7], [35, 7], [35, 17], [25, 17]]])),
    thing("bitmap", bitmap={"data": bitmap(MASK, "RGBA"), "origin": [50, 30]}),
    thing("bitmap", bitmap={"data": bitmap(MASK, "P"), "origin": [3, 30]}),
    thing("point", points=points((5, 5))),
    thing("line", points=points((5, 5), (6, 6))),
    thing("graph", nodes={"a": {"loc": [1, 2]}}),
]  # fmt: skip

META = {
    "classes": [
        {"title": "cell", "shape": "any", "color": "#1A7F80", "geometry_config": {}, "id": 1661459},
        {"title": "other", "shape": "polygon", "color": "#000000"},
    ],
    "tags": [{"name": "train", "value_type": "none", "color": "#FFFFFF"}],
    "projectType": "images",
}


def project(
    folder: Path, *objects: dict[str, Any], tags: Any = (), name: str = "a.png.json"
) -> Path:
    content = {
        "description": "", "tags": list(tags), "size": {"height": SIZE[0], "width": SIZE[1]},
        "objects": list(objects),
    }  # fmt: skip
    files = {"meta.json": json.dumps(META), f"ds1/ann/{name}": json.dumps(content)}
    return write_files(folder, {**files, "ds1/img/a.png": SIZE})


def test_every_kind_of_object(tmp_path: Path) -> None:
    source = project(tmp_path / "in", *OBJECTS, tags=[{"name": "train"}])
    check_source("supervisely", source)
    data = converted(source, tmp_path / "out.zarr")
    assert data.attributes["splits"] == ["train"]
    table = rows(data)
    assert [json.loads(r["record"]) for r in table] == OBJECTS
    assert {(r["category"], r["category_id"], r["source_id"]) for r in table} == {
        ("cell", "1661459", "497489555")
    }
    drawn = labels(data)
    box = np.zeros(SIZE, bool)
    box[3:8, 2:12] = True  # both corners are in it
    assert ((drawn == 1) == box).all()
    ring = np.zeros(SIZE, bool)
    ring[2:23, 20:41] = True  # the sides are in the polygon, those of the hole in the hole
    ring[7:18, 25:36] = False
    assert ((drawn == 2) == ring).all()
    assert ((drawn == 3)[30:35, 50:57] == MASK).all()
    assert ((drawn == 4)[30:35, 3:10] == MASK).all()
    assert (drawn == 3).sum() == (drawn == 4).sum() == MASK.sum()
    assert set(np.unique(drawn)) == {0, 1, 2, 3, 4}
    categories = data[""].label_attributes("objects")["categories"]
    assert [(c["name"], c["color"]) for c in categories] == [
        ("cell", [26, 127, 128, 255]),
        ("other", [0, 0, 0, 255]),
    ]


def test_older_exports_name_files_without_the_ending_of_the_image(tmp_path: Path) -> None:
    source = project(tmp_path / "in", OBJECTS[0], name="a.json")
    assert len(rows(converted(source, tmp_path / "out.zarr"))) == 1


@pytest.mark.parametrize(
    ("wrong", "record", "found"),
    [
        (thing("polygon", points=points((1, 1), (2, 2))), ".points.exterior", "2 points"),
        (thing("rectangle", points=points((1, 1))), ".points", "1 points"),
        (thing("bitmap", bitmap={"data": "????", "origin": [0, 0]}), ".bitmap", None),
        (thing("bitmap", bitmap={"data": bitmap(np.ones((41, 3), bool), "P"), "origin": [0, 0]}),
         ".bitmap", "41 x 3 pixels"),
        (thing("bitmap"), ".bitmap", "no bitmap"),
        (thing("rectangle", points=points((1, 1), (2, 2))) | {"classTitle": "dog"},
         ".classTitle", "dog"),
    ],
)  # fmt: skip
def test_a_wrong_object_is_an_error_or_is_skipped(
    wrong: dict[str, Any], record: str, found: str | None, tmp_path: Path
) -> None:
    source = project(tmp_path / "in", OBJECTS[0], wrong)
    with pytest.raises(SourceError) as error:
        ngff_bio.convert(source, tmp_path / "out.zarr")
    told = error.value
    assert (told.file, told.record) == ("ds1/ann/a.png.json", f"objects[1]{record}")
    assert found in (None, told.found)
    assert told.expected is not None
    done = ngff_bio.convert(source, tmp_path / "out.zarr", on_error="skip")
    assert (done.instances, len(done.skipped)) == (1, 1)


def test_annotations_of_another_size_or_without_their_image_are_errors(tmp_path: Path) -> None:
    source = project(tmp_path / "in", OBJECTS[0])
    lost = (source / "ds1/ann/a.png.json").read_text()
    (source / "ds1/ann/b.png.json").write_text(lost)
    with pytest.raises(SourceError, match="without their image"):
        ngff_bio.convert(source, tmp_path / "out.zarr")
    (source / "ds1/ann/b.png.json").unlink()
    Image.new("RGB", (61, 40)).save(source / "ds1/img/a.png")
    with pytest.raises(SourceError, match="another size"):
        ngff_bio.convert(source, tmp_path / "out.zarr")


def test_the_export_equals_the_source(tmp_path: Path) -> None:
    source = project(tmp_path / "in", *OBJECTS, tags=[{"name": "train"}])
    files = exported(source, tmp_path, "supervisely")
    assert set(files) == {"meta.json", "ds1/ann/a.png.json"}
    for name, data in files.items():
        assert json.loads(data) == json.loads((source / name).read_text())


def test_alpha_masks_and_oriented_boxes_are_drawn(tmp_path: Path) -> None:
    objects = [
        thing("alpha_mask", bitmap={"data": bitmap(MASK, "RGBA"), "origin": [3, 30]}),
        # As `OrientedBBox.to_json` writes it: corners without `exterior`, radians.
        thing("oriented_bbox", points=[[20, 5], [40, 15]], angle=0.5),
    ]
    folder = project(tmp_path / "in", *objects)
    for name in ("key_id_map.json", "ds1/img_info/a.png.json"):  # of `Project.download`
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    drawn = labels(converted(folder, tmp_path / "out.zarr"))
    assert (drawn[30:35, 3:10] == MASK).all()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    cos, sin = np.cos(0.5), np.sin(0.5)  # OrientedBBox.contains_point_location
    along, across = abs((x - 30) * cos + (y - 10) * sin), abs((y - 10) * cos - (x - 30) * sin)
    assert (drawn == 2)[(along <= 10) & (across <= 5)].all()
    assert (along[drawn == 2] < 11).all()
    assert (across[drawn == 2] < 6).all()


def test_an_object_of_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    folder = project(tmp_path / "in", thing("ellipse", points=points((5, 5))))
    with pytest.raises(SourceError, match="a kind that is not read"):
        ngff_bio.convert(folder, tmp_path / "out.zarr")
