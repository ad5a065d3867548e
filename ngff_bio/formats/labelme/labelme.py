"""labelme's JSON, of 3.x, 4.5.x and today: shapes, and what it takes to write the file again.

https://github.com/wkentaro/labelme/blob/main/labelme/label_file.py
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import parse_json
from ngff_bio.model import Instance, Shape, SourceFile

#: Fewest and most points of each shape type (labelme.utils.shape_to_mask).
SHAPE_TYPES: dict[str, tuple[int, float]] = {
    "polygon": (3, math.inf),
    "rectangle": (2, 2),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, math.inf),
    "point": (1, 1),
    "points": (1, math.inf),
    "mask": (2, 2),
}

#: Coordinates beyond this are not drawn (and NaN and infinity are not below it).
_FARTHEST = 2**30 / 5 - 1

_RAW = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True, eq=False)
class LabelmeFile:
    """One annotation file.

    Parameters
    ----------
    name
        Its name.
    shapes
        Records of its shapes, as they are in the file; only those that can be drawn.
    places
        Place of each in the file's list.
    record
        The other keys, in their order; ``shapes`` and ``imageData`` are null in it.
    size
        Height and width of the image as the file says; ``None`` where it does not.
    image_path
        What the file says of where its image lies: possibly stale, of Windows, or absolute.
    embedded
        Whether the image is in the file too.
    problems
        Shapes that cannot be drawn, where such are passed over.
    """

    name: str
    shapes: list[dict[str, Any]]
    places: list[int]
    record: dict[str, Any]
    size: tuple[int, int] | None
    image_path: str | None
    embedded: bool
    problems: tuple[SourceError, ...] = ()

    @property
    def labels(self) -> list[str]:
        """Label of each shape."""
        return [shape["label"] for shape in self.shapes]

    def owners(self) -> list[int]:
        """Rank of the instance that each shape is a part of, in source order.

        Shapes with one label and one ``group_id`` are parts of one instance, as labelme's own
        converters have it; any other shape is one by itself.
        """
        ranks: dict[Any, int] = {}
        found = []
        for number, shape in enumerate(self.shapes):
            group = shape.get("group_id")
            key = (number,) if group is None else (shape["label"], str(group))
            found.append(ranks.setdefault(key, len(ranks)))
        return found


def read_labelme(file: SourceFile, *, on_error: str = "stop") -> LabelmeFile:
    """Read an annotation file.

    Parameters
    ----------
    on_error
        ``stop`` at a shape that cannot be drawn, or ``skip`` it.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the file is no labelme JSON, or a shape cannot be drawn.
    """
    return decode_labelme(file.read(), file.name, on_error=on_error)


def decode_labelme(data: bytes, name: str, *, on_error: str = "stop") -> LabelmeFile:
    """Read the bytes of an annotation file; see `read_labelme`."""
    raw: dict[str, msgspec.Raw] = parse_json(data, name, _RAW)
    if "shapes" not in raw:
        raise SourceError(
            "the file is no labelme JSON",
            file=name,
            expected="an object with the key shapes",
            found=", ".join(list(raw)[:8]) or "an empty object",
        )
    # The image, which can be larger than all else together, is never decoded with the rest.
    embedded = "imageData" in raw and bytes(memoryview(raw["imageData"])[:1]) == b'"'
    record = {
        key: None if key in ("shapes", "imageData") else parse_json(bytes(value), name)
        for key, value in raw.items()
    }
    shapes, places, problems = [], [], []
    for number, shape in enumerate(_list(parse_json(bytes(raw["shapes"]), name), name)):
        problem = _problem(shape, name, number)
        if problem is None:
            shapes.append(shape)
            places.append(number)
        elif on_error == "stop":
            raise problem
        else:
            problems.append(problem)
    height, width = (_size(record, key, name) for key in ("imageHeight", "imageWidth"))
    path = record.get("imagePath")
    if path is not None and not isinstance(path, str):
        raise _wrong(name, "imagePath", "text", path)
    return LabelmeFile(
        name=name,
        shapes=shapes,
        places=places,
        record=record,
        size=None if height is None or width is None else (height, width),
        image_path=path,
        embedded=embedded,
        problems=tuple(problems),
    )


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(name, "shapes", "a list", value)
    return value


def _size(record: Mapping[str, Any], key: str, name: str) -> int | None:
    value = record.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise _wrong(name, key, "a whole number of pixels", value)
    return int(value)


def _wrong(name: str, record: str, expected: str, found: object) -> SourceError:
    text = repr(found)
    return SourceError(
        "a value of the wrong kind",
        file=name,
        record=record,
        expected=expected,
        found=text if len(text) <= 80 else f"{text[:77]}...",
        hint="mend the file in labelme, or pass such records over with --on-error skip",
    )


def _problem(shape: Any, name: str, number: int) -> SourceError | None:
    """Why a shape cannot be drawn, or ``None``."""
    at = f"shapes[{number}]"
    if not isinstance(shape, dict):
        return _wrong(name, at, "an object", shape)
    if not isinstance(shape.get("label"), str):
        return _wrong(name, f"{at}.label", "text", shape.get("label"))
    kind = shape.get("shape_type") or "polygon"
    if not isinstance(kind, str) or kind not in SHAPE_TYPES:
        return _wrong(name, f"{at}.shape_type", " or ".join(SHAPE_TYPES), kind)
    points = shape.get("points")
    if not isinstance(points, list) or not all(_is_point(p) for p in points):
        return _wrong(name, f"{at}.points", "pairs of finite numbers x, y", points)
    fewest, most = SHAPE_TYPES[kind]
    if not fewest <= len(points) <= most:
        many = str(fewest) if fewest == most else f"{fewest} or more"
        return _wrong(name, f"{at}.points", f"{many} points of a {kind}", points)
    return _mask_problem(shape, name, at) if kind == "mask" else None


def _mask_problem(shape: dict[str, Any], name: str, at: str) -> SourceError | None:
    """A mask is a PNG that fills its box, both corners in it (labelme 5.3 and later)."""
    mask = shape.get("mask")
    if not isinstance(mask, str):
        return _wrong(name, f"{at}.mask", "a PNG in base64", mask)
    try:
        head = base64.b64decode(mask[:32], validate=True)
        found = struct.unpack(">II", head[16:24])
    except (ValueError, struct.error):
        return _wrong(name, f"{at}.mask", "a PNG in base64", mask)
    (x0, y0), (x1, y1) = [[math.trunc(v) for v in p] for p in shape["points"]]
    if not head.startswith(b"\x89PNG") or found != (x1 - x0 + 1, y1 - y0 + 1):
        expected = f"a PNG of {x1 - x0 + 1} x {y1 - y0 + 1} pixels, as its corners say"
        return _wrong(name, f"{at}.mask", expected, f"{found[0]} x {found[1]}")
    return None


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in point)
        and all(abs(v) < _FARTHEST for v in point)
    )


def shape_geometry(shape: Mapping[str, Any], scale: tuple[float, float] = (1.0, 1.0)) -> Shape:
    """What a shape covers; ``scale`` multiplies x and y."""
    kind = shape.get("shape_type") or "polygon"
    points = tuple((x * scale[0], y * scale[1]) for x, y in shape["points"])
    # labelme draws a bare set of points as the polygon that they span, which needs three.
    if kind == "points" and len(points) < 3:
        kind = "point" if len(points) == 1 else "line"
    return Shape(kind, points, shape["mask"] if kind == "mask" else None)


def shape_record(shape: Mapping[str, Any], *, scaled: bool = False) -> str:
    """A shape as JSON text with its keys in their order.

    Points (and the picture of a mask) are null: the table has columns for them. Where they were
    scaled, the record has them as they were.
    """
    columns = {"points"} if not scaled else set()
    if shape.get("shape_type") == "mask":
        columns.add("mask")
    kept = {k: None if k in columns else v for k, v in shape.items()}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def restored_shape(
    record: str, points: Sequence[float] | None, mask: str | None = None
) -> dict[str, Any]:
    """The shape of the file again, from a row of the table.

    Parameters
    ----------
    record
        As `shape_record` gives it.
    points
        The one list of the row's ``polygons``: x0, y0, x1, y1, ...
    mask
        The row's mask.
    """
    shape: dict[str, Any] = json.loads(record)
    if shape.get("points") is None and points is not None:
        shape["points"] = [list(p) for p in zip(points[0::2], points[1::2], strict=True)]
    if mask is not None:
        shape["mask"] = mask
    return shape


def restored_file(record: Mapping[str, Any], shapes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The content of the file again; an embedded image is not in it."""
    return {k: list(shapes) if k == "shapes" else v for k, v in record.items()}


@dataclass(frozen=True, slots=True)
class LabelmeInstances:
    """Instances of one image: a labelme file for each frame.

    Parameters
    ----------
    files
        One for each frame; ``None`` for a frame without annotations.
    first_values
        Label value of the first instance of each frame; instances that are not tracked are numbered
        on from there.
    tracks
        Where labels are identities: all of them, in the order of their values, from 1 on. ``None``
        where labels are classes.
    scales
        Factors of x and y for each frame; ``None`` for 1.
    on_error
        As in `read_labelme`.
    """

    files: tuple[SourceFile | None, ...]
    first_values: tuple[int, ...]
    tracks: tuple[str, ...] | None = None
    scales: tuple[tuple[float, float], ...] | None = None
    on_error: str = "stop"

    def read(self, t: int) -> list[Instance]:
        """All instances of frame ``t``, in source order, with their label values set."""
        file = self.files[t]
        if file is None:
            return []
        content = read_labelme(file, on_error=self.on_error)
        scale = (1.0, 1.0) if self.scales is None else self.scales[t]
        if self.tracks is None:
            values = [self.first_values[t] + rank for rank in content.owners()]
        else:
            known = {label: value for value, label in enumerate(self.tracks, 1)}
            values = [known[label] for label in content.labels]
        return [
            self._instance(shape, value, t, scale)
            for shape, value in zip(content.shapes, values, strict=True)
        ]

    def _instance(
        self, shape: dict[str, Any], value: int, t: int, scale: tuple[float, float]
    ) -> Instance:
        geometry = shape_geometry(shape, scale)
        box = None
        if geometry.type == "rectangle":
            (x0, y0), (x1, y1) = geometry.points
            box = (min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))
        tracked = self.tracks is not None
        return Instance(
            value=value,
            geometry=geometry,
            t=t,
            category=None if tracked else shape["label"],
            track_id=shape["label"] if tracked else None,
            box=box,
            record=shape_record(shape, scaled=scale != (1.0, 1.0)),
        )


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """The image inside a labelme file, as a file of its own."""

    file: SourceFile

    @property
    def name(self) -> str:
        """Name of the labelme file and the key that holds the image."""
        return f"{self.file.name}#imageData"

    @property
    def size(self) -> int:
        """Bytes of the picture."""
        return len(self.read())

    @property
    def path(self) -> None:
        """It has no path of its own."""
        return

    def open(self) -> BinaryIO:
        """The image file, in memory."""
        return io.BytesIO(self.read())

    def read_range(self, offset: int, size: int) -> bytes:
        """Some of the image file's bytes."""
        return self.read()[offset : offset + size]

    def read(self) -> bytes:
        """The picture's bytes."""
        raw: dict[str, msgspec.Raw] = parse_json(self.file.read(), self.file.name, _RAW)
        text = msgspec.json.decode(raw.get("imageData", msgspec.Raw(b"null")))
        try:
            return base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise SourceError(
                "the image inside the file cannot be read",
                file=self.file.name,
                record="imageData",
                expected="base64",
                found=error,
                hint="put the image beside the file",
            ) from error
