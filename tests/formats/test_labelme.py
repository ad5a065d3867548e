"""labelme files: every shape type and version, what is refused, and the file again from its rows."""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import make_labelme_folder
from masks import drawn_shape
from PIL import Image

from ngff_bio.errors import SourceError
from ngff_bio.formats.images.frames import stack_frames
from ngff_bio.formats.labelme.labelme import (
    EmbeddedImage,
    LabelmeInstances,
    decode_labelme,
    read_labelme,
    restored_file,
    restored_shape,
)
from ngff_bio.formats.problems import Problems
from ngff_bio.sources.files.ranges import LocalFile


def content(*shapes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "4.5.7",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 20,
        "imageWidth": 30,
    } | more


def shape(kind: str | None, points: Any, **more: Any) -> dict[str, Any]:
    return {"label": "cell", "points": points, "group_id": None, "shape_type": kind} | more


def decoded(value: Any, problems: Problems | None = None) -> Any:
    return decode_labelme(json.dumps(value).encode(), "a.json", problems or Problems())


def put(folder: Path, value: Any, name: str = "a.json") -> LocalFile:
    (folder / name).write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return LocalFile(str(folder), name)


def read_all(file: LocalFile) -> list[Any]:
    return LabelmeInstances((file,), (1,)).read(0)


def rows_of(instances: list[Any]) -> list[dict[str, Any]]:
    """The shapes again from what the table holds of them."""
    return [
        restored_shape(i.record, [v for p in i.geometry.points for v in p], i.geometry.mask)
        for i in instances
    ]


def test_every_shape_type_is_restored_value_for_value(tmp_path: Path) -> None:
    truth = make_labelme_folder(
        tmp_path, extra_keys=True, with_flags=True, groups=True, version="5.5.0"
    )
    for made in truth.images.values():
        file = LocalFile(str(made.json_file.parent), made.json_file.name)
        found = read_labelme(file, Problems())
        instances = read_all(file)
        assert len({i.geometry.type for i in instances}) == 7
        again = restored_file(found.record, rows_of(instances))
        assert again == made.content
        assert list(again) == list(made.content)
        for mine, theirs in zip(again["shapes"], made.content["shapes"], strict=True):
            assert list(mine) == list(theirs)


def test_real_files_of_labelme_are_restored_value_for_value(samples: Path) -> None:
    paths = sorted((samples / "labelme").rglob("*.json"))
    assert paths
    kinds = set()
    for path in paths:
        file = LocalFile(str(path.parent), path.name)
        instances = read_all(file)
        again = restored_file(read_labelme(file, Problems()).record, rows_of(instances))
        original = json.loads(path.read_text("utf-8"))
        original["imageData"] = None
        assert again == original
        assert list(again) == list(original)
        kinds |= {i.geometry.type for i in instances}
    assert kinds >= {"rectangle", "circle", "polygon", "line", "point", "linestrip"}


def test_rectangles_in_drag_order_have_one_box() -> None:
    corners = [(3.5, 4.0), (9.0, 15.25)]
    (x0, y0), (x1, y1) = corners
    for a, b in (
        ((x0, y0), (x1, y1)),
        ((x1, y1), (x0, y0)),
        ((x1, y0), (x0, y1)),
        ((x0, y1), (x1, y0)),
    ):
        (instance,) = _instances(shape("rectangle", [list(a), list(b)]))
        assert instance.box == (3.5, 4.0, 5.5, 11.25)
        assert instance.geometry.points == (a, b)
        mask = drawn_shape((20, 30), instance.geometry.points, "rectangle")
        expected = np.zeros((20, 30), bool)
        expected[4:16, 3:10] = True
        np.testing.assert_array_equal(mask, expected)


def _instances(*shapes: dict[str, Any], on_error: str = "stop") -> list[Any]:
    class File:
        name = "a.json"
        path = None

        def read(self) -> bytes:
            return json.dumps(content(*shapes)).encode()

    return LabelmeInstances((File(),), (1,), on_error=on_error).read(0)


def test_flags_may_be_null_and_keys_of_version_3_and_5_are_kept() -> None:
    old = shape("polygon", [[0, 0], [5, 0], [5, 5]], line_color=None, fill_color=[1, 2, 3, 4])
    old |= {"flags": None}
    new = shape("polygon", [[0, 0], [5, 0], [5, 5]], description="x", mask=None, flags={"a": True})
    found = decoded(content(old, new, flags=None, lineColor=[0, 255, 0, 128]))
    assert found.shapes == [old, new]
    assert found.record["lineColor"] == [0, 255, 0, 128]
    assert rows_of(_instances(old, new)) == [old, new]


def test_a_shape_without_a_type_is_a_polygon() -> None:
    bare = {"label": "cell", "points": [[0, 0], [5, 0], [5, 5]]}
    (instance,) = _instances(bare)
    assert instance.geometry.type == "polygon"
    assert rows_of([instance]) == [bare]


def test_shapes_of_one_group_and_label_are_one_instance() -> None:
    square = [[0, 0], [5, 0], [5, 5]]
    values = [
        i.value
        for i in _instances(
            shape("polygon", square, group_id=3),
            shape("polygon", square),
            shape("polygon", square, group_id=3),
            shape("polygon", square, group_id=3, label="other"),
            shape("polygon", square),
        )
    ]
    assert values == [1, 2, 1, 3, 4]


def test_labels_that_are_identities_keep_their_value_over_frames(tmp_path: Path) -> None:
    corners = [[0, 0], [5, 5]]
    first = put(tmp_path, content(shape("rectangle", corners, label="7")), "1.json")
    second = put(
        tmp_path,
        content(shape("rectangle", corners, label="0"), shape("rectangle", corners, label="7")),
        "2.json",
    )
    source = LabelmeInstances((first, None, second), (1, 2, 2), tracks=("0", "7"))
    source = pickle.loads(pickle.dumps(source))
    assert [(i.value, i.track_id, i.category, i.t) for i in source.read(0)] == [(2, "7", None, 0)]
    assert source.read(1) == []
    assert [(i.value, i.track_id) for i in source.read(2)] == [(1, "0"), (2, "7")]


def test_scaled_annotations_keep_their_own_numbers_in_the_record(tmp_path: Path) -> None:
    original = shape("rectangle", [[1.5, 2.0], [3.0, 7.0]])
    file = put(tmp_path, content(original))
    (instance,) = LabelmeInstances((file,), (1,), scales=((2.0, 4.0),)).read(0)
    assert instance.geometry.points == ((3.0, 8.0), (6.0, 28.0))
    assert instance.box == (3.0, 8.0, 3.0, 20.0)
    assert restored_shape(instance.record, [3.0, 8.0, 6.0, 28.0]) == original


def test_the_image_inside_the_file_is_read_and_never_kept_in_the_record(tmp_path: Path) -> None:
    pixels = np.arange(600, dtype=np.uint8).reshape(20, 30)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    file = put(tmp_path, content(imageData=data))
    found = read_labelme(file, Problems())
    assert found.embedded
    assert found.record["imageData"] is None
    stack = stack_frames([EmbeddedImage(file)])
    np.testing.assert_array_equal(stack.read(((0, 20), (0, 30))), pixels)
    broken = put(tmp_path, content(imageData="no base64!"), "b.json")
    with pytest.raises(SourceError, match="cannot be read") as caught:
        EmbeddedImage(broken).read()
    assert caught.value.file == "b.json"


def test_points_may_lie_outside_the_image() -> None:
    (instance,) = _instances(shape("rectangle", [[-4.0, -3.5], [100.0, 50.0]]))
    assert instance.geometry.points == ((-4.0, -3.5), (100.0, 50.0))


GOOD = shape("rectangle", [[0, 0], [5, 5]])
BAD_SHAPES = {
    "a polygon with fewer than three points": (shape("polygon", [[0, 0], [1, 1]]), "points"),
    "a rectangle with one corner": (shape("rectangle", [[0, 0]]), "points"),
    "an odd number of coordinates": (shape("polygon", [[0, 0], [1], [2, 2]]), "points"),
    "text where a number is due": (shape("point", [["3", 4]]), "points"),
    "a coordinate beyond all images": (shape("point", [[1e300, 4]]), "points"),
    "a type that labelme does not have": (shape("cuboid", [[0, 0], [1, 1]]), "shape_type"),
    "a number where text is due": (shape("point", [[0, 0]], label=5), "label"),
    "no label": ({"points": [[0, 0]], "shape_type": "point"}, "label"),
    "a mask without its image": (shape("mask", [[0, 0], [2, 2]]), "mask"),
    "a mask that does not fill its box": (
        shape("mask", [[0, 0], [2, 2]], mask=base64.b64encode(b"\x89PNG" + bytes(40)).decode()),
        "mask",
    ),
    "no object": (["a"], "shapes[1]"),
}


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_a_shape_that_cannot_be_drawn_is_named_or_passed_over(name: str) -> None:
    bad, where = BAD_SHAPES[name]
    with pytest.raises(SourceError) as caught:
        decoded(content(GOOD, bad, GOOD))
    assert caught.value.file == "a.json"
    assert "shapes[1]" in str(caught.value.record)
    assert where in str(caught.value.record)
    problems = Problems("skip")
    found = decoded(content(GOOD, bad, GOOD), problems)
    assert (found.shapes, found.places) == ([GOOD, GOOD], [0, 2])
    assert len(problems.notices) == 1
    assert len(_instances(GOOD, bad, GOOD, on_error="skip")) == 2


BROKEN = {
    "cut off": b'{"shapes": [',
    "empty": b"",
    "not UTF-8": b'{"shapes": [], "x": "\xff"}',
    "nested a thousand deep": b'{"shapes": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    "with comments": b'{\n"shapes": [], // none yet\n"version": "4"}',
    "a list": b"[1, 2]",
    "of something else": b'{"images": []}',
    "with shapes that are no list": b'{"shapes": {}}',
    "with NaN": b'{"shapes": [{"label": "a", "points": [[NaN, 1]]}]}',
    "with text for the height": b'{"shapes": [], "imageHeight": "20"}',
    "with a number for the path": b'{"shapes": [], "imagePath": 3}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_clear_error(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        decode_labelme(BROKEN[name], "a.json", Problems())
    assert caught.value.file == "a.json"
    if name == "with comments":
        assert "comments" in str(caught.value.hint)


def test_a_byte_order_mark_is_passed_over() -> None:
    found = decode_labelme(
        b"\xef\xbb\xbf" + json.dumps(content(GOOD)).encode(), "a.json", Problems()
    )
    assert found.size == (20, 30)
    assert math.isfinite(found.shapes[0]["points"][0][0])
